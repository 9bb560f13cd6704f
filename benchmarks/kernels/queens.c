/* Recursion with bit sets: solutions of the n queens problem. */
#include "kernel.h"

NOINLINE static u32 place(u32 all, u32 columns, u32 left, u32 right) {
    if (columns == all) return 1;
    u32 found = 0;
    for (u32 free = all & ~(columns | left | right); free;) {
        u32 bit = free & -free;
        free ^= bit;
        found += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

KERNEL { return place((1u << n) - 1, 0, 0, 0); }
