/* i64 products of i32 with carries: long multiplication in limbs of 32 bits. */
#include "kernel.h"

#define LIMBS 48
static u32 a[LIMBS], b[LIMBS], product[2 * LIMBS];

KERNEL {
    for (u32 i = 0; i < LIMBS; i++) a[i] = 0x01234567u * (i + 3), b[i] = 0x89abcdefu * (2 * i + 1);
    while (n--) {
        for (u32 i = 0; i < 2 * LIMBS; i++) product[i] = 0;
        for (u32 i = 0; i < LIMBS; i++) {
            u64 carry = 0;
            for (u32 j = 0; j < LIMBS; j++) {
                u64 sum = (u64)a[i] * b[j] + product[i + j] + carry;
                product[i + j] = (u32)sum;
                carry = sum >> 32;
            }
            product[i + LIMBS] = (u32)carry;
        }
        for (u32 i = 0; i < LIMBS; i++) a[i] = product[i] ^ product[i + LIMBS];
    }
    return a[0] ^ a[LIMBS - 1];
}
