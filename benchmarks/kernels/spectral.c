/* Conversions and divisions: the spectral norm of an endless matrix, cut at n. */
#include "kernel.h"

#define MAXIMUM 400
static double u[MAXIMUM], v[MAXIMUM], w[MAXIMUM];

static inline double element(u32 i, u32 j) { return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1); }

NOINLINE static void multiply(u32 n, const double *from, double *to, u32 transposed) {
    for (u32 i = 0; i < n; i++) {
        double sum = 0;
        for (u32 j = 0; j < n; j++) sum += (transposed ? element(j, i) : element(i, j)) * from[j];
        to[i] = sum;
    }
}

KERNEL {
    if (n > MAXIMUM) n = MAXIMUM;
    for (u32 i = 0; i < n; i++) u[i] = 1;
    for (u32 step = 0; step < 10; step++) {
        multiply(n, u, w, 0);
        multiply(n, w, v, 1);
        multiply(n, v, w, 0);
        multiply(n, w, u, 1);
    }
    double uv = 0, vv = 0;
    for (u32 i = 0; i < n; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return fold(__builtin_sqrt(uv / vv));
}
