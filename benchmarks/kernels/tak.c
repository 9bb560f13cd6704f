/* Calls with three arguments, not all in the order in which they came: Takeuchi's function. */
#include "kernel.h"

NOINLINE static i32 tak(i32 x, i32 y, i32 z) {
    return y >= x ? z : tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

KERNEL { return (u32)tak((i32)n, (i32)(n * 2 / 3), (i32)(n / 3)); }
