/* Indices that double: heapsort of f64. */
#include "kernel.h"

#define SIZE 20000
static double numbers[SIZE];

static void sift(u32 root, u32 end) {
    double value = numbers[root];
    for (u32 child; (child = 2 * root + 1) < end; root = child) {
        if (child + 1 < end && numbers[child] < numbers[child + 1]) child++;
        if (value >= numbers[child]) break;
        numbers[root] = numbers[child];
    }
    numbers[root] = value;
}

KERNEL {
    u32 seed = 4242, sum = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++) numbers[i] = draw(&seed) / 65536.0;
        for (u32 i = SIZE / 2; i--;) sift(i, SIZE);
        for (u32 end = SIZE - 1; end; end--) {
            double largest = numbers[0];
            numbers[0] = numbers[end];
            numbers[end] = largest;
            sift(0, end);
        }
        for (u32 i = 0; i < SIZE; i += 97) sum = sum * 31 + fold(numbers[i]);
    }
    return sum;
}
