/* i32 in memory, minima: all shortest paths of a graph. */
#include "kernel.h"

#define SIZE 100
static i32 path[SIZE][SIZE];

KERNEL {
    u32 sum = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++)
            for (u32 j = 0; j < SIZE; j++) path[i][j] = (i32)((i * 31 + j * 17 + n) % 101 + 1);
        for (u32 k = 0; k < SIZE; k++)
            for (u32 i = 0; i < SIZE; i++)
                for (u32 j = 0; j < SIZE; j++) {
                    i32 through = path[i][k] + path[k][j];
                    if (through < path[i][j]) path[i][j] = through;
                }
        for (u32 i = 0; i < SIZE; i++) sum = sum * 31 + (u32)path[i][(i * 7) % SIZE];
    }
    return sum;
}
