"""The structures that machine code and Python share, as byte offsets. All fields are 8 bytes unless said otherwise.

A *thread block* belongs to one thread for as long as it lives, and is never unmapped: signal handlers may look at it at
any time. An *activation* lies in the native frame of `enter`: where to go on when a call into wasm is left by a trap. A
*VM context* belongs to one instance; machine code keeps its address in a register. A *function record* is a function
reference: its address is the value of a funcref, 0 is null.
"""

from __future__ import annotations

from typing import Final

from wasmine.errors import TrapKind

FAULT: Final = 1
"""In Thread.TRAP: a signal. Which trap it is follows from its number and the place."""

PYTHON_EXCEPTION: Final = 2
"""In Thread.TRAP: a Python exception that the services keep for the thread."""

RESUME: Final = 3
"""What a service returns to go on at Thread.RESUME_PC instead of behind its call. Never in Thread.TRAP."""

COMPILE: Final = 0
"""The number of the service that compiles a function: called with its index in place of the frame."""

_FIRST_KIND: Final = 16
_KINDS: Final = tuple(TrapKind)


def trap_number(kind: TrapKind) -> int:
    """The number by which machine code knows a kind of trap."""
    return _FIRST_KIND + _KINDS.index(kind)


def trap_kind(number: int) -> TrapKind:
    """The kind of trap of a number that `trap_number` gave."""
    return _KINDS[number - _FIRST_KIND]


class Thread:
    """Offsets in a thread block."""

    ACTIVATION: Final = 0  # the innermost activation, 0 outside wasm
    STACK_LIMIT: Final = 8  # the lowest address that the native stack pointer may have in wasm code
    VALUES_LIMIT: Final = 16  # the highest address that a frame of the value stack may reach
    TRAP: Final = 24  # how the last call ended: FAULT, PYTHON_EXCEPTION or a `trap_number`
    TRAP_PC: Final = 32  # where, an address in code
    TRAP_ADDRESS: Final = 40  # the address of the data access at fault, for faults
    TRAP_SIGNAL: Final = 48  # the number of the signal, 0 for explicit traps
    TRAP_STACK: Final = 56  # the native stack pointer of the function at fault
    TRAP_FRAME: Final = 64  # its frame in the value stack
    STACK_COPIED: Final = 72  # how many bytes of the native stack were copied to STACK_COPY
    RESULT: Final = 80  # the result register for integers and references
    RESULT_VECTOR: Final = 96  # the result register for floats and vectors, 16 bytes
    VALUES: Final = 112  # the start of the value stack
    RESUME_PC: Final = 120  # where to go on, for a service that returns RESUME
    RESUME_STACK: Final = 128
    RESUME_FRAME: Final = 136
    RESUME_CONTEXT: Final = 144
    STACK_COPY: Final = 1024  # the native stack from the trap up to `enter`, at most STACK_COPY_SIZE bytes
    STACK_COPY_SIZE: Final = 7168
    SIZE: Final = 8192


class Activation:
    """Offsets in an activation."""

    PREVIOUS: Final = 0
    STACK: Final = 8
    FRAME: Final = 16
    LANDING: Final = 24
    SIZE: Final = 32


class Context:
    """Offsets in a VM context. What an instance has a number of follows at offsets that the compiler chooses."""

    THREAD: Final = 0  # the block of the thread that runs the instance
    STACK_LIMIT: Final = 8  # copied from the thread block on entry
    VALUES_LIMIT: Final = 16
    TRAP: Final = 24  # address of `trap`: called with a `trap_number` in the first scratch register
    CALL_HOST: Final = 32  # address of the Python callback for host functions and runtime calls
    MEMORY: Final = 40  # base and length in bytes of memory 0, 16 bytes
    FIXED: Final = 64  # where the instance's own fields begin


class Record:
    """Offsets in a function record."""

    CODE: Final = 0
    CONTEXT: Final = 8  # the VM context of the instance that defines it
    TYPE: Final = 16  # the number of its type in the runtime
    SUPERTYPES: Final = 24  # address of the numbers of its type's display, for subtype checks
    SIZE: Final = 32
