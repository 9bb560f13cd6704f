/* Recursion and branches that cannot be foreseen: quicksort. */
#include "kernel.h"

#define SIZE 50000
static i32 numbers[SIZE];

NOINLINE static void sort(i32 low, i32 high) {
    while (low < high) {
        i32 pivot = numbers[low + (high - low) / 2], i = low, j = high;
        while (i <= j) {
            while (numbers[i] < pivot) i++;
            while (numbers[j] > pivot) j--;
            if (i <= j) {
                i32 kept = numbers[i];
                numbers[i++] = numbers[j];
                numbers[j--] = kept;
            }
        }
        sort(low, j);
        low = i;
    }
}

KERNEL {
    u32 seed = 12345, sum = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++) numbers[i] = (i32)draw(&seed);
        sort(0, SIZE - 1);
        for (u32 i = 0; i < SIZE; i += 97) sum = sum * 31 + (u32)numbers[i];
    }
    return sum;
}
