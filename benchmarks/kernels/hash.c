/* A hash table of words: hashing bytes, probing, comparing. */
#include "kernel.h"

#define SLOTS 8192
static struct { u32 hash, count; u8 length, key[11]; } table[SLOTS];

KERNEL {
    u32 seed = 1, found = 0;
    for (u32 i = 0; i < SLOTS; i++) table[i].count = 0;
    while (n--) {
        u8 word[11];
        u32 number = draw(&seed) % 5000, length = 4 + number % 7, hash = 2166136261u;
        for (u32 i = 0; i < length; i++) {
            word[i] = 'a' + (number >> (i & 3)) % 26;
            hash = (hash ^ word[i]) * 16777619u;
        }
        for (u32 at = hash % SLOTS;; at = (at + 1) % SLOTS) {
            if (!table[at].count) {
                table[at].hash = hash, table[at].count = 1, table[at].length = length;
                for (u32 i = 0; i < length; i++) table[at].key[i] = word[i];
                break;
            }
            if (table[at].hash != hash || table[at].length != length) continue;
            u32 i = 0;
            while (i < length && table[at].key[i] == word[i]) i++;
            if (i == length) {
                found += ++table[at].count;
                break;
            }
        }
    }
    return found;
}
