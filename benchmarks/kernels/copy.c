/* memory.copy and memory.fill: blocks of all sizes. */
#include "kernel.h"

static u8 from[1 << 16], to[1 << 16];

KERNEL {
    u32 seed = 41, sum = 0;
    for (u32 i = 0; i < sizeof from; i++) from[i] = (u8)draw(&seed);
    while (n--) {
        u32 size = draw(&seed) % (n & 15 ? 200 : 20000), start = draw(&seed) % 40000;
        __builtin_memcpy(to + start, from + start / 2, size);
        if (!(n & 3)) __builtin_memset(from + start, (int)n, size / 2);
        sum = sum * 31 + to[start + size / 2];
    }
    return sum;
}
