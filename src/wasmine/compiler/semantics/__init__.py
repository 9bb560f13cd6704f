"""The meaning of every instruction that computes, as LLVM IR: one definition each, for templates and optimizer alike.

A `Meaning` is a signature and a function from LLVM value names to the name of the result; what it needs on the way it
writes through a `Builder`. It knows nothing of registers, operand kinds or stacks. Two things it leaves to the builder,
because the tiers do them differently: the edge to a trap (`Builder.trap_if`) and the address of a memory access
(`Builder.address`, which knows the memory, the offset and how bounds are checked).

What is not here has no meaning apart from its surroundings, or changes the state of the runtime: control, calls,
exceptions, tables, references, growing and bulk operations. These are the compiler's own sequences or calls of runtime
functions; docs/compiler.md says which, and their contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.semantics.builder import LLVM_TYPES, Builder, Meaning, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LLVM_TYPES", "Builder", "Meaning", "Target", "meanings"]


def meanings() -> dict[str, Meaning]:
    """Every meaning by the name of its instruction, in the order of the instruction table, then the internal ones.

    Internal instructions are not WebAssembly's: what the baseline compiler needs besides (such as a division whose
    operands are known to be harmless). Their names contain a `!`.
    """
    found = dict(_families())
    return dict(sorted(found.items(), key=lambda item: "!" in item[0]))


def _families() -> Iterator[tuple[str, Meaning]]:
    from wasmine.compiler.semantics import atomic, convert, integer, memory, transfer, vector
    from wasmine.compiler.semantics import float as floating

    for family in (memory, integer, floating, convert, vector, atomic, transfer):
        yield from family.meanings()
