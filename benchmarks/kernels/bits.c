/* clz, ctz and popcnt: sets of bits. */
#include "kernel.h"

KERNEL {
    u64 x = 0x123456789abcdefu;
    u32 sum = 0;
    while (n--) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        sum += (u32)__builtin_popcountll(x) * (u32)__builtin_clzll(x | 1) + (u32)__builtin_ctz((u32)(x >> 32) | 0x80000000u);
        for (u64 rest = x & 0x0101010101010101u; rest; rest &= rest - 1) sum = sum * 3 + (u32)__builtin_ctzll(rest);
    }
    return sum;
}
