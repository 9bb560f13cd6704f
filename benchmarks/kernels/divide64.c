/* i64 divisions and remainders: greatest common divisors. */
#include "kernel.h"

KERNEL {
    u64 sum = 0, x = 88172645463325252u;
    while (n--) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        u64 a = x >> 8, b = x & 0xffffffffffu;
        while (b) {
            u64 rest = a % b;
            a = b, b = rest;
        }
        sum = sum * 31 + a;
    }
    return (u32)(sum ^ sum >> 32);
}
