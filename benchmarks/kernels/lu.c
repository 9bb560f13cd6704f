/* f64, triangular loops: the LU decomposition of a matrix. */
#include "kernel.h"

#define SIZE 96
static double a[SIZE][SIZE];

KERNEL {
    u32 sum = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++)
            for (u32 j = 0; j < SIZE; j++) a[i][j] = i == j ? SIZE : (double)((i * j + n) % 17) / 17;
        for (u32 k = 0; k < SIZE; k++)
            for (u32 i = k + 1; i < SIZE; i++) {
                a[i][k] /= a[k][k];
                for (u32 j = k + 1; j < SIZE; j++) a[i][j] -= a[i][k] * a[k][j];
            }
        sum = sum * 31 + fold(a[SIZE - 1][SIZE - 1]);
    }
    return sum;
}
