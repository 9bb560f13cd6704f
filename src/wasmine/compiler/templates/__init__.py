"""Machine code of single WebAssembly instructions, any register of which can be chosen when it is used.

A *template* is the code of one instruction, or of a fused pair, for one choice of operand kinds and one destination
form. When the package is built, `build` writes each as an LLVM function (`forms`), has it compiled with the operands in
known registers, and `lift`s the result: a decoder finds every register field, immediate, displacement and branch. What is
stored is code with fields left open. At run time `library` finds templates by key, and an architecture's `filling` puts
registers and values in. Only these and `expand` are needed then; they import nothing but the standard library.

docs/compiler.md explains keys, kinds, forms, holes and the registers that templates expect.
"""
