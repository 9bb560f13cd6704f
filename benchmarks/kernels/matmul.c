/* f64 in memory: the product of two matrices, one number of the result at a time. */
#include "kernel.h"

#define SIZE 120
static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

KERNEL {
    for (u32 i = 0; i < SIZE; i++)
        for (u32 j = 0; j < SIZE; j++) {
            a[i][j] = (double)((i * 7 + j) % 13) / 3;
            b[i][j] = (double)((i + j * 5) % 11) / 7;
        }
    while (n--)
        for (u32 i = 0; i < SIZE; i++)
            for (u32 j = 0; j < SIZE; j++) {
                double sum = 0;
                for (u32 k = 0; k < SIZE; k++) sum += a[i][k] * b[k][j];
                c[i][j] = sum + c[i][j] / 2;
            }
    double sum = 0;
    for (u32 i = 0; i < SIZE; i++)
        for (u32 j = 0; j < SIZE; j++) sum += c[i][j] * (double)(i + 1);
    return fold(sum);
}
