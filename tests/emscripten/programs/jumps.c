// setjmp and longjmp in the shapes that real programs have them: an error out of nested calls, in a loop, from a callback.
typedef struct { unsigned long words[10]; } jmp_buf[1];
int setjmp(jmp_buf) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf, int);

#define EXPORT(name) __attribute__((export_name(name), noinline))

static jmp_buf outer, inner;

__attribute__((noinline)) static void descend(int depth, int value) {
    volatile char frame[256];
    frame[depth] = (char)value;
    if (depth == 0)
        longjmp(outer, value);
    descend(depth - 1, value + frame[depth] * 0);
}

// 0 if nothing jumps; else the value of the longjmp that came out of `depth` nested calls.
EXPORT("try") int try(int depth, int value) {
    int caught = setjmp(outer);
    if (caught)
        return caught;
    if (depth)
        descend(depth, value);
    return 0;
}

// Tries again until it does not fail: the same jmp_buf is filled once and jumped to many times.
EXPORT("retry") int retry(int failures) {
    volatile int attempts = 0;
    setjmp(outer);
    attempts++;
    if (attempts <= failures)
        descend(3, 1);
    return attempts;
}

__attribute__((noinline)) static int nested(int to_outer) {
    int caught = setjmp(inner);
    if (caught)
        return 100 + caught;
    if (to_outer)
        longjmp(outer, 7);
    longjmp(inner, 5);
}

// A jump past a function that has a setjmp of its own, or to that one.
EXPORT("choose") int choose(int to_outer) {
    int caught = setjmp(outer);
    if (caught)
        return 200 + caught;
    return nested(to_outer);
}

typedef double (*callback)(long long, float);
static double plain(long long a, float b) { return (double)a * b; }
static double jumping(long long a, float b) { longjmp(outer, (int)a); }

// Calls through a pointer whose type has every kind of number.
EXPORT("through_pointer") double through_pointer(int jump, long long a, float b) {
    volatile callback function = jump ? jumping : plain;
    int caught = setjmp(outer);
    if (caught)
        return -caught;
    return function(a, b);
}

// The stack pointer before and after a jump: the difference.
extern void *emscripten_stack_get_current(void);
EXPORT("stack_lost") int stack_lost(int depth) {
    char *before = emscripten_stack_get_current();
    try(depth, 1);
    return (int)(before - (char *)emscripten_stack_get_current());
}

__attribute__((noinline)) static void fail(void) { __builtin_trap(); }

EXPORT("trap") int trap(void) {
    if (setjmp(outer))
        return -1;
    fail();
    return 0;
}

EXPORT("jump_late") void jump_late(void) { longjmp(outer, 1); }
