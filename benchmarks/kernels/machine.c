/* br_table over and over: an interpreter of a stack machine, running a loop n times. */
#include "kernel.h"

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, AND, SHIFT, LESS, JUMP_IF, DUP, SWAP, HALT };

static const u8 program[] = {
    PUSH, 1, STORE, 0,                       /* x = 1 */
    LOAD, 0, PUSH, 75, MUL, PUSH, 74, ADD,   /* 4: x * 75 + 74 */
    DUP, PUSH, 5, SHIFT, XOR,                /* y ^ y >> 5 */
    STORE, 0,                                /* x = that */
    LOAD, 1, LOAD, 0, PUSH, 127, AND, ADD, STORE, 1, /* s += x & 127 */
    LOAD, 2, PUSH, 1, ADD, DUP, STORE, 2,    /* i += 1 */
    LOAD, 3, LESS, JUMP_IF, 4,               /* while i < n */
    LOAD, 1, LOAD, 0, SWAP, SUB, HALT,
};

NOINLINE static u32 interpret(const u8 *code, u32 *variable) {
    u32 stack[16], *top = stack;
    for (const u8 *pc = code;;) switch (*pc++) {
        case PUSH: *top++ = *pc++; break;
        case LOAD: *top++ = variable[*pc++]; break;
        case STORE: variable[*pc++] = *--top; break;
        case ADD: top--, top[-1] += *top; break;
        case SUB: top--, top[-1] -= *top; break;
        case MUL: top--, top[-1] *= *top; break;
        case XOR: top--, top[-1] ^= *top; break;
        case AND: top--, top[-1] &= *top; break;
        case SHIFT: top--, top[-1] >>= *top; break;
        case LESS: top--, top[-1] = top[-1] < *top; break;
        case JUMP_IF: pc = *--top ? code + *pc : pc + 1; break;
        case DUP: *top = top[-1], top++; break;
        case SWAP: { u32 x = top[-1]; top[-1] = top[-2], top[-2] = x; break; }
        default: return *--top;
    }
}

KERNEL {
    u32 variable[4] = {0, 0, 0, n};
    return interpret(program, variable);
}
