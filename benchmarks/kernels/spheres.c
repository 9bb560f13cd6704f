/* f32 and branches that are hard to foresee: rays against spheres, n by n of them. */
#include "kernel.h"

#define SPHERES 12
static struct { float x, y, z, r; } sphere[SPHERES];

KERNEL {
    u32 seed = 7, total = 0;
    for (u32 i = 0; i < SPHERES; i++) {
        sphere[i].x = (float)(draw(&seed) % 200) / 50 - 2;
        sphere[i].y = (float)(draw(&seed) % 200) / 50 - 2;
        sphere[i].z = (float)(draw(&seed) % 100) / 25 + 3;
        sphere[i].r = (float)(draw(&seed) % 50) / 60 + 0.2f;
    }
    for (u32 py = 0; py < n; py++)
        for (u32 px = 0; px < n; px++) {
            float dx = (float)px / n - 0.5f, dy = (float)py / n - 0.5f, dz = 1;
            float length = __builtin_sqrtf(dx * dx + dy * dy + dz * dz), nearest = 1e30f;
            u32 hit = 0;
            dx /= length, dy /= length, dz /= length;
            for (u32 i = 0; i < SPHERES; i++) {
                float b = dx * sphere[i].x + dy * sphere[i].y + dz * sphere[i].z;
                float c = sphere[i].x * sphere[i].x + sphere[i].y * sphere[i].y + sphere[i].z * sphere[i].z;
                float under = b * b - c + sphere[i].r * sphere[i].r;
                if (under < 0) continue;
                float distance = b - __builtin_sqrtf(under);
                if (distance > 0 && distance < nearest) nearest = distance, hit = i + 1;
            }
            total = total * 33 + hit + (u32)(nearest < 1e29f ? nearest * 1000 : 0);
        }
    return total;
}
