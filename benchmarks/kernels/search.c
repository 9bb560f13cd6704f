/* Bytes and a table of skips: Horspool's string search. */
#include "kernel.h"

#define SIZE 65536
static u8 text[SIZE];
static u32 skip[256];

NOINLINE static u32 search(const u8 *needle, u32 length) {
    u32 found = 0;
    for (u32 i = 0; i < 256; i++) skip[i] = length;
    for (u32 i = 0; i + 1 < length; i++) skip[needle[i]] = length - 1 - i;
    for (u32 at = 0; at + length <= SIZE; at += skip[text[at + length - 1]]) {
        u32 i = length;
        while (i && text[at + i - 1] == needle[i - 1]) i--;
        if (!i) found += at;
    }
    return found;
}

KERNEL {
    u32 seed = 5, sum = 0;
    for (u32 i = 0; i < SIZE; i++) text[i] = 'a' + draw(&seed) % 6;
    while (n--) sum = sum * 31 + search(&text[n * 97 % 60000], 3 + n % 6);
    return sum;
}
