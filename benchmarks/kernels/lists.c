/* A linked list, sorted by merging and searched: one part of what CoreMark measures. */
#include "kernel.h"

#define SIZE 400
typedef struct item { struct item *next; u16 key, value; } item;
static item items[SIZE];

static item *merge(item *a, item *b) {
    item head, *last = &head;
    while (a && b) {
        if (a->key <= b->key) last->next = a, last = a, a = a->next;
        else last->next = b, last = b, b = b->next;
    }
    last->next = a ? a : b;
    return head.next;
}

NOINLINE static item *sorted(item *list) {
    item *runs[16] = {0};
    while (list) {
        item *run = list;
        list = list->next;
        run->next = 0;
        u32 i = 0;
        for (; runs[i]; i++) run = merge(runs[i], run), runs[i] = 0;
        runs[i] = run;
    }
    item *all = 0;
    for (u32 i = 0; i < 16; i++) all = merge(runs[i], all);
    return all;
}

static item *reversed(item *list) {
    item *done = 0;
    while (list) {
        item *next = list->next;
        list->next = done, done = list, list = next;
    }
    return done;
}

KERNEL {
    u32 seed = 77, sum = 0;
    while (n--) {
        for (u32 i = 0; i < SIZE; i++) {
            items[i].next = i + 1 < SIZE ? &items[i + 1] : 0;
            items[i].key = draw(&seed) & 1023, items[i].value = (u16)i;
        }
        item *list = reversed(sorted(items));
        for (u32 key = 0; key < 1024; key += 64) {
            item *found = list;
            while (found && found->key >= key) found = found->next;
            sum = sum * 31 + (found ? found->value : 1);
        }
    }
    return sum;
}
