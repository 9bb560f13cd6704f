"""Text into a library written in C and out of it, in memory of its own `malloc`: `python examples/strings_in_c.py Ada`.

It is compiled by the package `ziglang`; Zig, TinyGo and Rust make modules of the same shape.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import wasmine
from wasmine import Caller, i32
from wasmine.wasi import WASI

GREET = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(name)))
__attribute__((import_module("env"), import_name("log"))) void host_log(const char *text, size_t length);

EXPORT("malloc") void *allocate(size_t size) { return malloc(size); }
EXPORT("free") void release(void *pointer) { free(pointer); }

// A text for the caller to free: its address in the upper half of the result, its length in the lower.
EXPORT("greeting") uint64_t greeting(const char *name, size_t length) {
    char *message = malloc(length + sizeof "Hello, !");
    sprintf(message, "Hello, %.*s!", (int)length, name);
    return (uint64_t)(uintptr_t)message << 32 | strlen(message);
}

// A text that the host gets to see while the call lasts.
EXPORT("greet") void greet(const char *name, size_t length) {
    uint64_t text = greeting(name, length);
    char *message = (char *)(uintptr_t)(text >> 32);
    host_log(message, (size_t)text);
    free(message);
}
"""


def compile_c(source: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        program, module = Path(folder, "greet.c"), Path(folder, "greet.wasm")
        program.write_text(source)
        options = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-Os", "-o", module, program]
        subprocess.run([sys.executable, "-m", "ziglang", "cc", *options], check=True)
        return module.read_bytes()


def log(caller: Caller, address: i32, length: i32) -> None:
    print("c >>", caller.memory.read_string(address, length))


name = sys.argv[1].encode()
with wasmine.Runtime() as runtime, WASI() as wasi:
    guest = runtime.instantiate(compile_c(GREET), {**wasi.imports(), "env": {"log": log}}).exports
    guest._initialize()
    address = guest.malloc(len(name))
    guest.memory.write(address, name)
    guest.greet(address, len(name))
    packed = guest.greeting(address, len(name))
    message, length = packed >> 32 & 0xFFFF_FFFF, packed & 0xFFFF_FFFF
    print("python >>", guest.memory.read_string(message, length))
    guest.free(message)
    guest.free(address)
