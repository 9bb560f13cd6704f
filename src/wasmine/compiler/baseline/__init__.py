"""The baseline compiler: one pass over a function's body, one template per instruction.

`compile_function` is all of it that the engine uses.
"""
