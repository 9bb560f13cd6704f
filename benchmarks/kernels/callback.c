/* call_indirect of one function again and again, as a sort with a comparison does: shell sort. */
#include "kernel.h"

#define SIZE 8000
typedef i32 (*compare)(const void *, const void *);
static i32 numbers[SIZE];

static i32 ascending(const void *a, const void *b) {
    i32 x = *(const i32 *)a, y = *(const i32 *)b;
    return (x > y) - (x < y);
}

static i32 by_last_bits(const void *a, const void *b) { return (*(const i32 *)a & 4095) - (*(const i32 *)b & 4095); }

static compare volatile chosen[2] = {ascending, by_last_bits};

NOINLINE static void sort(i32 *data, u32 count, compare order) {
    for (u32 gap = 3280; gap; gap /= 3)
        for (u32 i = gap; i < count; i++) {
            i32 kept = data[i];
            u32 j = i;
            for (; j >= gap && order(&data[j - gap], &kept) > 0; j -= gap) data[j] = data[j - gap];
            data[j] = kept;
        }
}

KERNEL {
    u32 seed = 31, sum = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++) numbers[i] = (i32)draw(&seed);
        sort(numbers, SIZE, chosen[n & 1]);
        for (u32 i = 0; i < SIZE; i += 97) sum = sum * 31 + (u32)numbers[i];
    }
    return sum;
}
