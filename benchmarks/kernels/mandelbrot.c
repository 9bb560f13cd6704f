/* f64 in registers: the Mandelbrot set, n by n points. */
#include "kernel.h"

KERNEL {
    u32 total = 0;
    for (u32 y = 0; y < n; y++)
        for (u32 x = 0; x < n; x++) {
            double cr = 3.0 * x / n - 2, ci = 2.0 * y / n - 1, zr = 0, zi = 0;
            u32 i = 0;
            for (; i < 200; i++) {
                double rr = zr * zr, ii = zi * zi;
                if (rr + ii > 4) break;
                zi = 2 * zr * zi + ci;
                zr = rr - ii + cr;
            }
            total = total * 31 + i;
        }
    return total;
}
