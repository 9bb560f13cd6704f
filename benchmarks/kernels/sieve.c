/* Bytes in memory: the sieve of Eratosthenes. */
#include "kernel.h"

#define SIZE 200000
static u8 composite[SIZE];

KERNEL {
    u32 count = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++) composite[i] = 0;
        count = 0;
        for (u32 i = 2; i < SIZE; i++) {
            if (composite[i]) continue;
            count++;
            for (u32 j = 2 * i; j < SIZE; j += i) composite[j] = 1;
        }
    }
    return count;
}
