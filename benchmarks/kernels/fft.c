/* f64 in memory, strides that change: a Fourier transform forth and back. */
#include "kernel.h"

#define BITS 11
#define SIZE (1 << BITS)
static double re[SIZE], im[SIZE], wr[SIZE], wi[SIZE];

static void transform(double sign) {
    for (u32 i = 0, j = 0; i < SIZE; i++) {
        if (i < j) {
            double r = re[i], m = im[i];
            re[i] = re[j], im[i] = im[j];
            re[j] = r, im[j] = m;
        }
        u32 bit = SIZE >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
    }
    for (u32 half = 1; half < SIZE; half *= 2)
        for (u32 start = 0; start < SIZE; start += 2 * half)
            for (u32 k = 0; k < half; k++) {
                u32 w = k * (SIZE / 2 / half), even = start + k, odd = even + half;
                double r = re[odd] * wr[w] - sign * im[odd] * wi[w], m = sign * re[odd] * wi[w] + im[odd] * wr[w];
                re[odd] = re[even] - r;
                im[odd] = im[even] - m;
                re[even] += r;
                im[even] += m;
            }
}

KERNEL {
    double c = 1, s = 0, dc = 0.99999529380957617, ds = -0.003067956762965976; /* cos and -sin of 2 pi / 2048 */
    for (u32 i = 0; i < SIZE; i++) {
        wr[i] = c, wi[i] = s;
        double next = c * dc - s * ds;
        s = c * ds + s * dc;
        c = next;
        re[i] = (double)(i * i % 97), im[i] = 0;
    }
    while (n--) {
        transform(1);
        transform(-1);
        for (u32 i = 0; i < SIZE; i++) re[i] /= SIZE, im[i] /= SIZE;
    }
    double sum = 0;
    for (u32 i = 0; i < SIZE; i++) sum += re[i] * (double)(i % 5);
    return fold(sum);
}
