/* call_indirect: a table of functions, called in an order that depends on what they return. */
#include "kernel.h"

static u32 add(u32 a, u32 b) { return a + b; }
static u32 subtract(u32 a, u32 b) { return a - b; }
static u32 multiply(u32 a, u32 b) { return a * (b | 1); }
static u32 mix(u32 a, u32 b) { return a ^ b >> 7; }
static u32 turn(u32 a, u32 b) { return a << 5 | (a ^ b) >> 27; }
static u32 invert(u32 a, u32 b) { return ~a + b; }
static u32 (*const volatile functions[])(u32, u32) = {add, mix, subtract, turn, multiply, invert, mix, add};

KERNEL {
    u32 x = 1;
    for (u32 i = 0; i < n; i++) x = functions[(x >> 3 ^ i) & 7](x, i);
    return x;
}
