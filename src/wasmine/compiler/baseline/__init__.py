"""The baseline compiler: one pass over a function's body, one template per instruction.

`compile_function` is all of it that the engine uses.

    compiler    the visitor: handlers by instruction, registers for locals, prologue
    weights     how heavily locals are used
    state       the abstract stack
    operation   an instruction's templates by operand kinds
    emitter     code in the making
    numeric, variables, memory, control, calls, references    the handlers
"""

from wasmine.compiler.baseline.compiler import compile_function

__all__ = ["compile_function"]
