/* What every kernel includes: `unsigned run(unsigned n)` does work that grows with n and returns a checksum of it. */

#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define KERNEL __attribute__((export_name("run"))) u32 run(u32 n)
#define NOINLINE __attribute__((noinline))

/* The next number of a generator, the same on every machine. */
static inline u32 draw(u32 *state) {
    u32 x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static inline u32 fold(double value) {
    union { double d; u64 u; } bits = {value};
    return (u32)(bits.u ^ (bits.u >> 32));
}

static inline u32 fold32(float value) {
    union { float f; u32 u; } bits = {value};
    return bits.u;
}
