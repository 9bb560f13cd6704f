/* i16x8 from bytes and back: an image is blurred, 16 points at a time. */
#include "kernel.h"
#include <wasm_simd128.h>

#define WIDTH 256
#define HEIGHT 128
static u8 image[2][HEIGHT][WIDTH + 32];

static inline v128_t row(v128_t left, v128_t middle, v128_t right) {
    return wasm_i16x8_add(wasm_i16x8_add(left, right), wasm_i16x8_shl(middle, 1));
}

static inline v128_t low(const u8 *at) {
    return row(wasm_u16x8_load8x8(at - 1), wasm_u16x8_load8x8(at), wasm_u16x8_load8x8(at + 1));
}

KERNEL {
    u32 seed = 17, sum = 0, now = 0;
    for (u32 y = 0; y < HEIGHT; y++)
        for (u32 x = 0; x < WIDTH + 32; x++) image[0][y][x] = image[1][y][x] = (u8)draw(&seed);
    while (n--) {
        for (u32 y = 1; y + 1 < HEIGHT; y++)
            for (u32 x = 16; x < WIDTH + 16; x += 16) {
                const u8 *above = &image[now][y - 1][x], *here = &image[now][y][x], *below = &image[now][y + 1][x];
                v128_t first = row(low(above), low(here), low(below));
                v128_t second = row(low(above + 8), low(here + 8), low(below + 8));
                v128_t mean = wasm_u8x16_narrow_i16x8(wasm_u16x8_shr(first, 4), wasm_u16x8_shr(second, 4));
                v128_t bright = wasm_u8x16_gt(mean, wasm_u8x16_const_splat(200));
                wasm_v128_store(&image[!now][y][x], wasm_u8x16_avgr(mean, wasm_v128_andnot(wasm_v128_load(here), bright)));
            }
        now = !now;
    }
    for (u32 y = 0; y < HEIGHT; y++)
        for (u32 x = 0; x < WIDTH; x++) sum = sum * 31 + image[now][y][x];
    return sum;
}
