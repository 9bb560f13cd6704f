/* i64 in registers: multiplications, shifts and rotations. */
#include "kernel.h"

KERNEL {
    u64 x = 0x9e3779b97f4a7c15u, s = n;
    while (n--) {
        x += 0x9e3779b97f4a7c15u;
        u64 z = x;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        s = (s << 13 | s >> 51) ^ z ^ z >> 31;
    }
    return (u32)(s ^ s >> 32);
}
