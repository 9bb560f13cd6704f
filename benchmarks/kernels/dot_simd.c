/* i32x4.dot_i16x8_s and i8x16 arithmetic: what neural networks with small numbers do. */
#include "kernel.h"
#include <wasm_simd128.h>

#define SIZE 256
static int8_t weights[SIZE][SIZE], input[SIZE];

KERNEL {
    u32 seed = 23, sum = 0;
    for (u32 i = 0; i < SIZE; i++) {
        input[i] = (int8_t)draw(&seed);
        for (u32 j = 0; j < SIZE; j++) weights[i][j] = (int8_t)(draw(&seed) >> 8);
    }
    while (n--)
        for (u32 i = 0; i < SIZE; i++) {
            v128_t total = wasm_i32x4_const_splat(0);
            for (u32 j = 0; j < SIZE; j += 16) {
                v128_t a = wasm_v128_load(&weights[i][j]), b = wasm_v128_load(&input[j]);
                total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(a), wasm_i16x8_extend_low_i8x16(b)));
                total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(a), wasm_i16x8_extend_high_i8x16(b)));
            }
            i32 scalar = wasm_i32x4_extract_lane(total, 0) + wasm_i32x4_extract_lane(total, 1)
                       + wasm_i32x4_extract_lane(total, 2) + wasm_i32x4_extract_lane(total, 3);
            input[i] = (int8_t)(scalar >> 12);
            sum = sum * 31 + (u32)scalar;
        }
    return sum;
}
