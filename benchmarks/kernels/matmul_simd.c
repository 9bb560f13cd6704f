/* f32x4: the product of two matrices, four rows of four columns of the result at a time. */
#include "kernel.h"
#include <wasm_simd128.h>

#define SIZE 128
static float a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static inline v128_t step(v128_t sum, float scale, v128_t row) {
    return wasm_f32x4_add(sum, wasm_f32x4_mul(wasm_f32x4_splat(scale), row));
}

KERNEL {
    for (u32 i = 0; i < SIZE; i++)
        for (u32 j = 0; j < SIZE; j++) {
            a[i][j] = (float)((i * 7 + j) % 13) / 3;
            b[i][j] = (float)((i + j * 5) % 11) / 7;
        }
    while (n--)
        for (u32 i = 0; i < SIZE; i += 4)
            for (u32 j = 0; j < SIZE; j += 4) {
                v128_t r0 = wasm_f32x4_const_splat(0), r1 = r0, r2 = r0, r3 = r0;
                for (u32 k = 0; k < SIZE; k++) {
                    v128_t row = wasm_v128_load(&b[k][j]);
                    r0 = step(r0, a[i][k], row);
                    r1 = step(r1, a[i + 1][k], row);
                    r2 = step(r2, a[i + 2][k], row);
                    r3 = step(r3, a[i + 3][k], row);
                }
                wasm_v128_store(&c[i][j], r0);
                wasm_v128_store(&c[i + 1][j], r1);
                wasm_v128_store(&c[i + 2][j], r2);
                wasm_v128_store(&c[i + 3][j], r3);
            }
    float sum = 0;
    for (u32 i = 0; i < SIZE; i++)
        for (u32 j = 0; j < SIZE; j++) sum += c[i][j] * (float)(i + 1);
    return fold32(sum);
}
