/* f64, square roots and divisions: the outer planets around the sun, n steps. */
#include "kernel.h"

#define BODIES 5
static struct { double x, y, z, vx, vy, vz, mass; } body[BODIES];

KERNEL {
    for (u32 i = 0; i < BODIES; i++) {
        body[i].x = 4.8 * i;
        body[i].y = 1.2 * (double)(i * i) - i;
        body[i].z = 0.1 * i;
        body[i].vx = 0.6 / (i + 1);
        body[i].vy = 2.8 / (i + 1);
        body[i].vz = 0.02 * i;
        body[i].mass = i ? 0.03 / i : 39.5;
    }
    while (n--) {
        for (u32 i = 0; i < BODIES; i++)
            for (u32 j = i + 1; j < BODIES; j++) {
                double dx = body[i].x - body[j].x, dy = body[i].y - body[j].y, dz = body[i].z - body[j].z;
                double square = dx * dx + dy * dy + dz * dz;
                double force = 0.01 / (square * __builtin_sqrt(square));
                body[i].vx -= dx * body[j].mass * force;
                body[i].vy -= dy * body[j].mass * force;
                body[i].vz -= dz * body[j].mass * force;
                body[j].vx += dx * body[i].mass * force;
                body[j].vy += dy * body[i].mass * force;
                body[j].vz += dz * body[i].mass * force;
            }
        for (u32 i = 0; i < BODIES; i++) {
            body[i].x += 0.01 * body[i].vx;
            body[i].y += 0.01 * body[i].vy;
            body[i].z += 0.01 * body[i].vz;
        }
    }
    return fold(body[0].x + body[1].y + body[4].z);
}
