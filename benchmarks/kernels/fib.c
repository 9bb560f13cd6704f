/* Calls: doubly recursive Fibonacci numbers. */
#include "kernel.h"

NOINLINE static u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

KERNEL { return fib(n); }
