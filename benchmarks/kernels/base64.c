/* Bytes through tables, there and back: base64. */
#include "kernel.h"

#define SIZE 12288
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static u8 data[SIZE], coded[SIZE / 3 * 4], value[256];

KERNEL {
    for (u32 i = 0; i < SIZE; i++) data[i] = (u8)(i * i >> 3);
    for (u32 i = 0; i < 64; i++) value[(u8)letters[i]] = (u8)i;
    while (n--) {
        u8 *out = coded;
        for (const u8 *in = data; in < data + SIZE; in += 3, out += 4) {
            u32 bits = (u32)in[0] << 16 | (u32)in[1] << 8 | in[2];
            out[0] = letters[bits >> 18], out[1] = letters[bits >> 12 & 63];
            out[2] = letters[bits >> 6 & 63], out[3] = letters[bits & 63];
        }
        u8 *back = data;
        for (const u8 *in = coded; in < coded + sizeof coded; in += 4, back += 3) {
            u32 bits = (u32)value[in[0]] << 18 | (u32)value[in[1]] << 12 | (u32)value[in[2]] << 6 | value[in[3]];
            back[0] = (u8)(bits >> 16 ^ n), back[1] = (u8)(bits >> 8), back[2] = (u8)bits;
        }
    }
    u32 sum = 0;
    for (u32 i = 0; i < SIZE; i++) sum = sum * 31 + data[i];
    return sum;
}
