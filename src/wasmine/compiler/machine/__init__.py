"""What lies between Python and machine code: memory for code and data, entering and leaving, traps.

`layout` is the shape of the structures that machine code and Python share; `libc` the C functions used, through ctypes;
`mapping` reserved address space; `code` memory for code; `threads` the block of each thread; `faults` the signal handlers
that turn a fault in wasm code into a trap; `glue` the loaded hand-written sequences, and `blob` how they are stored. What
belongs to one architecture alone is in the package of its name (`amd64`); `architecture` says what it has to offer.
"""
