/* Matrices of 16-bit numbers, and a checksum bit by bit: another part of what CoreMark measures. */
#include "kernel.h"

#define SIZE 24
static int16_t a[SIZE][SIZE], b[SIZE][SIZE];
static i32 c[SIZE][SIZE];

static u32 check(u32 crc, u32 value) {
    for (u32 bit = 0; bit < 16; bit++, value >>= 1) crc = (crc ^ value) & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    return crc;
}

KERNEL {
    for (u32 i = 0; i < SIZE; i++)
        for (u32 j = 0; j < SIZE; j++) a[i][j] = (int16_t)(i * j + 1), b[i][j] = (int16_t)(i - 3 * j);
    u32 crc = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++)
            for (u32 j = 0; j < SIZE; j++) {
                i32 sum = 0;
                for (u32 k = 0; k < SIZE; k++) {
                    i32 product = a[i][k] * b[k][j];
                    sum += (product >> 2 & 15) * (product >> 5 & 127);
                }
                c[i][j] = sum;
            }
        for (u32 i = 0; i < SIZE; i++)
            for (u32 j = 0; j < SIZE; j++) {
                crc = check(crc, (u32)c[i][j] & 0xffff);
                a[i][j] = (int16_t)(a[i][j] + (int16_t)c[j][i]);
            }
    }
    return crc;
}
