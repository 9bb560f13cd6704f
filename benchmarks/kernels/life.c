/* Neighbours in memory: n generations of the game of life. */
#include "kernel.h"

#define WIDTH 128
#define HEIGHT 128
static u8 cells[2][HEIGHT + 2][WIDTH + 2];

KERNEL {
    u32 seed = 3, sum = 0, now = 0;
    for (u32 y = 1; y <= HEIGHT; y++)
        for (u32 x = 1; x <= WIDTH; x++) cells[0][y][x] = draw(&seed) & 1;
    while (n--) {
        for (u32 y = 1; y <= HEIGHT; y++)
            for (u32 x = 1; x <= WIDTH; x++) {
                const u8 *above = &cells[now][y - 1][x], *here = &cells[now][y][x], *below = &cells[now][y + 1][x];
                u32 around = above[-1] + above[0] + above[1] + here[-1] + here[1] + below[-1] + below[0] + below[1];
                cells[!now][y][x] = around == 3 || (around == 2 && *here);
            }
        now = !now;
    }
    for (u32 y = 1; y <= HEIGHT; y++)
        for (u32 x = 1; x <= WIDTH; x++) sum = sum * 3 + cells[now][y][x];
    return sum;
}
