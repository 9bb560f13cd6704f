/* i8x16 comparisons and bitmask: counts and adds up the places of line ends, as memchr does. */
#include "kernel.h"
#include <wasm_simd128.h>

#define SIZE 65536
static u8 text[SIZE];

KERNEL {
    u32 seed = 29, sum = 0;
    for (u32 i = 0; i < SIZE; i++) text[i] = draw(&seed) % 40 ? 'a' + (u8)(seed % 26) : '\n';
    while (n--) {
        u8 wanted = n & 7 ? '\n' : 'q';
        for (u32 i = 0; i < SIZE; i += 16) {
            u32 mask = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(&text[i]), wasm_i8x16_splat((int8_t)wanted)));
            for (; mask; mask &= mask - 1) sum += i + (u32)__builtin_ctz(mask);
        }
    }
    return sum;
}
