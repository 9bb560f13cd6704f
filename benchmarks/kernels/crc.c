/* A chain of loads that depend on each other: CRC-32 by table. */
#include "kernel.h"

#define SIZE 65536
static u32 table[256];
static u8 data[SIZE];

KERNEL {
    for (u32 i = 0; i < 256; i++) {
        u32 c = i;
        for (u32 k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        table[i] = c;
    }
    for (u32 i = 0; i < SIZE; i++) data[i] = (u8)(i * i >> 5);
    u32 crc = 0xffffffffu;
    while (n--)
        for (u32 i = 0; i < SIZE; i++) crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    return ~crc;
}
