/* f64x2 in registers: the Mandelbrot set, two points at a time. */
#include "kernel.h"
#include <wasm_simd128.h>

KERNEL {
    v128_t two = wasm_f64x2_const_splat(2), four = wasm_f64x2_const_splat(4);
    u32 total = 0;
    for (u32 y = 0; y < n; y++)
        for (u32 x = 0; x < n; x += 2) {
            v128_t cr = wasm_f64x2_make(3.0 * x / n - 2, 3.0 * (x + 1) / n - 2), ci = wasm_f64x2_splat(2.0 * y / n - 1);
            v128_t zr = wasm_f64x2_const_splat(0), zi = zr, count = zr;
            for (u32 i = 0; i < 200; i++) {
                v128_t rr = wasm_f64x2_mul(zr, zr), ii = wasm_f64x2_mul(zi, zi);
                v128_t inside = wasm_f64x2_le(wasm_f64x2_add(rr, ii), four);
                if (!wasm_v128_any_true(inside)) break;
                count = wasm_i64x2_sub(count, inside);
                zi = wasm_f64x2_add(wasm_f64x2_mul(two, wasm_f64x2_mul(zr, zi)), ci);
                zr = wasm_f64x2_add(wasm_f64x2_sub(rr, ii), cr);
            }
            total = total * 31 + (u32)wasm_i64x2_extract_lane(count, 0);
            total = total * 31 + (u32)wasm_i64x2_extract_lane(count, 1);
        }
    return total;
}
