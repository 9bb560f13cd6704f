/* A state machine over text: tokens of something like JSON. */
#include "kernel.h"

#define SIZE 8192
static u8 text[SIZE];
static const char sample[] = "{\"name\": \"value \\\"quoted\\\" here\", \"numbers\": [1, -23, 4.5e10, 0.125], \"t\": true,\n"
                             " \"nested\": {\"a\": null, \"b\": [[], {}, false]}, \"long\": \"lorem ipsum dolor sit amet\"},\n";

NOINLINE static u32 scan(void) {
    u32 tokens = 0, depth = 0, hash = 0;
    for (u32 i = 0; i < SIZE;) switch (text[i]) {
        case ' ': case '\n': case ',': case ':': i++; break;
        case '{': case '[': i++, tokens++, hash += ++depth; break;
        case '}': case ']': i++, tokens++, depth--; break;
        case '"':
            for (i++; i < SIZE && text[i] != '"'; i++) {
                if (text[i] == '\\') i++;
                hash = hash * 33 + text[i];
            }
            i++, tokens++;
            break;
        case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
            for (; i < SIZE && ((text[i] >= '0' && text[i] <= '9') || text[i] == '.' || text[i] == 'e' || text[i] == '-'); i++)
                hash = hash * 10 + text[i];
            tokens++;
            break;
        default:
            do hash = hash * 31 + text[i++];
            while (i < SIZE && text[i] >= 'a' && text[i] <= 'z');
            tokens++;
    }
    return hash ^ tokens;
}

KERNEL {
    for (u32 i = 0; i < SIZE; i++) text[i] = sample[i % (sizeof sample - 1)];
    u32 sum = 0;
    while (n--) {
        text[n * 7 % SIZE] = "a 1\""[n & 3];
        sum = sum * 31 + scan();
    }
    return sum;
}
