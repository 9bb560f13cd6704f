"""The process of `execution_arm64.py`: runs code in memory that it shares with the process of the tests.

Arguments: the shared file, and the sizes of its parts: code, worlds, results. It writes the address of the worlds. Then
for each line, a number of cases, it runs the code on them and answers with a line.
"""

import contextlib
import ctypes
import mmap
import sys


def main() -> None:
    """Serves until there is no more input."""
    path, code_size, world_size, _ = sys.argv[1], *map(int, sys.argv[2:])
    with open(path, "r+b") as file:  # noqa: PTH123
        shared = mmap.mmap(file.fileno(), 0)
    base = ctypes.addressof(ctypes.c_char.from_buffer(shared))
    code = mmap.mmap(-1, code_size, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(address)
    clear = None
    with contextlib.suppress(OSError):
        clear = ctypes.CDLL("libgcc_s.so.1").__clear_cache
    worlds = base + code_size
    print(worlds, flush=True)
    for line in sys.stdin:
        code[:] = shared[:code_size]
        if clear is not None:
            clear(ctypes.c_void_p(address), ctypes.c_void_p(address + code_size))
        function(worlds, worlds + world_size, int(line))
        print(0, flush=True)


main()
