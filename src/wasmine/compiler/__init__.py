"""Engine 2: functions become machine code.

`semantics` says what each instruction means, as LLVM IR (used when the package is built, and by the optimizing tier);
`templates` is the machine code of single instructions, made from it and filled in at run time.
"""
