/* Two strings and a row of numbers, minima of three: edit distances. */
#include "kernel.h"

#define SIZE 600
static u8 one[SIZE], other[SIZE];
static u32 row[SIZE + 1];

static inline u32 lesser(u32 a, u32 b) { return a < b ? a : b; }

KERNEL {
    u32 seed = 99, sum = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++) one[i] = draw(&seed) % 4, other[i] = draw(&seed) % 4;
        for (u32 j = 0; j <= SIZE; j++) row[j] = j;
        for (u32 i = 0; i < SIZE; i++) {
            u32 diagonal = row[0];
            row[0] = i + 1;
            for (u32 j = 0; j < SIZE; j++) {
                u32 changed = diagonal + (one[i] != other[j]);
                diagonal = row[j + 1];
                row[j + 1] = lesser(changed, lesser(diagonal, row[j]) + 1);
            }
        }
        sum = sum * 31 + row[SIZE];
    }
    return sum;
}
