/* i32x4 shifts and shuffles: n blocks of ChaCha20, a row of the state in each vector. */
#include "kernel.h"
#include <wasm_simd128.h>

static inline v128_t turn(v128_t x, u32 by) {
    return wasm_v128_or(wasm_i32x4_shl(x, by), wasm_u32x4_shr(x, 32 - by));
}

#define ROUND \
    a = wasm_i32x4_add(a, b), d = turn(wasm_v128_xor(d, a), 16); \
    c = wasm_i32x4_add(c, d), b = turn(wasm_v128_xor(b, c), 12); \
    a = wasm_i32x4_add(a, b), d = turn(wasm_v128_xor(d, a), 8); \
    c = wasm_i32x4_add(c, d), b = turn(wasm_v128_xor(b, c), 7)

KERNEL {
    v128_t key0 = wasm_i32x4_const(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);
    v128_t key1 = wasm_i32x4_const(1, 2, 3, 4), key2 = wasm_i32x4_const(5, 6, 7, 8);
    v128_t counter = wasm_i32x4_const(0, 0, 9, 10), one = wasm_i32x4_const(1, 0, 0, 0), sum = wasm_i32x4_const_splat(0);
    while (n--) {
        v128_t a = key0, b = key1, c = key2, d = counter;
        for (u32 i = 0; i < 10; i++) {
            ROUND;
            b = wasm_i32x4_shuffle(b, b, 1, 2, 3, 0);
            c = wasm_i32x4_shuffle(c, c, 2, 3, 0, 1);
            d = wasm_i32x4_shuffle(d, d, 3, 0, 1, 2);
            ROUND;
            b = wasm_i32x4_shuffle(b, b, 3, 0, 1, 2);
            c = wasm_i32x4_shuffle(c, c, 2, 3, 0, 1);
            d = wasm_i32x4_shuffle(d, d, 1, 2, 3, 0);
        }
        sum = wasm_v128_xor(wasm_i32x4_add(sum, wasm_i32x4_add(a, key0)), wasm_i32x4_add(b, key1));
        sum = wasm_v128_xor(wasm_i32x4_add(sum, wasm_i32x4_add(c, key2)), wasm_i32x4_add(d, counter));
        counter = wasm_i32x4_add(counter, one);
    }
    u32 result = (u32)wasm_i32x4_extract_lane(sum, 0) * 31 + (u32)wasm_i32x4_extract_lane(sum, 1);
    return (result * 31 + (u32)wasm_i32x4_extract_lane(sum, 2)) * 31 + (u32)wasm_i32x4_extract_lane(sum, 3);
}
