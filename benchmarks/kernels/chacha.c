/* Sixteen live i32: n blocks of ChaCha20. */
#include "kernel.h"

static u32 input[16], output[16];

#define TURN(x, by) (x << by | x >> (32 - by))
#define QUARTER(a, b, c, d) \
    a += b, d ^= a, d = TURN(d, 16), c += d, b ^= c, b = TURN(b, 12), \
    a += b, d ^= a, d = TURN(d, 8), c += d, b ^= c, b = TURN(b, 7)

KERNEL {
    for (u32 i = 0; i < 16; i++) input[i] = 0x61707865u * (i + 1);
    u32 sum = 0;
    while (n--) {
        u32 x[16];
        for (u32 i = 0; i < 16; i++) x[i] = input[i];
        for (u32 i = 0; i < 10; i++) {
            QUARTER(x[0], x[4], x[8], x[12]);
            QUARTER(x[1], x[5], x[9], x[13]);
            QUARTER(x[2], x[6], x[10], x[14]);
            QUARTER(x[3], x[7], x[11], x[15]);
            QUARTER(x[0], x[5], x[10], x[15]);
            QUARTER(x[1], x[6], x[11], x[12]);
            QUARTER(x[2], x[7], x[8], x[13]);
            QUARTER(x[3], x[4], x[9], x[14]);
        }
        for (u32 i = 0; i < 16; i++) output[i] = x[i] + input[i];
        input[12]++;
        sum = sum * 31 + output[n & 15];
    }
    return sum;
}
