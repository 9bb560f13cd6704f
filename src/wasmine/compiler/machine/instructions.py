"""`Instructions`: the machine instructions that are no templates, as the baseline compiler wants them of any architecture.

A register is a number. The numbers from 0 to 15 of each file are those that templates know, the *operand registers*; others
an architecture numbers as it likes. All functions return code. They change nothing but their target, flags, and registers
that nobody else uses; of the registers named here, only those that they are said to.

Conditional jumps follow a comparison at once; orders are unsigned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class TooFar(Exception):
    """A jump does not reach its target: compile the function with long jumps."""


class Instructions(Protocol):
    """What the module `instructions` of an architecture offers."""

    # -------------------------------------------------------------------------------------------- registers

    GENERAL_TEMPORARIES: Sequence[int]  # operand registers: calls change these,
    GENERAL_SAVED: Sequence[int]  # and preserve these
    VECTOR_TEMPORARIES: Sequence[int]
    VECTOR_SAVED: Sequence[int]  # all 128 bits
    GENERAL_RESULT: int  # of a function or block with one result; temporary ones
    VECTOR_RESULT: int
    SPARE: int  # how many temporaries of each file a function without calls can spare for locals

    CONTEXT: int  # the VM context
    FRAME: int  # the frame in the value stack
    # These are no operand registers, but for KEPT, and free for what they are named after.
    RECORD: int  # a function record, to be called; changed by copies of slots and slots that are set
    SCRATCH: int
    INDEX: int  # preserved by copies of slots, and by templates that move
    KEPT: int  # the same, for a record on its way past copies of slots; may be a temporary register
    BULK_OPERANDS: int  # what `fill32` and its like are called with
    BULK_TARGET: int
    BULK_SOURCE: int

    # -------------------------------------------------------------------------------------------- jumps, calls

    # Conditions.
    BELOW: int
    NOT_BELOW: int
    EQUAL: int
    NOT_EQUAL: int
    NOT_ABOVE: int
    ABOVE: int

    LOOP_ALIGNMENT: int
    JUMP: bytes  # within the function; `aim` fills in where to. The field is the last 4 bytes
    CALL: bytes
    # Elsewhere, by relocations; the field begins REFERENCE bytes before the end.
    JUMP_SYMBOL: bytes
    CALL_SYMBOL: bytes
    JUMP_FUNCTION: bytes  # through the code table
    CALL_FUNCTION: bytes
    REFERENCE: int
    RETURN: bytes

    def jump_if(self, condition: int) -> bytes:
        """A conditional jump. The field is the last 4 bytes."""

    def aim(self, code: bytearray, field: int, target: int) -> None:
        """Make the jump with a field, of a template or of those above, lead to an offset in the code. TooFar."""

    def aim_data(self, code: bytearray, field: int, target: int, addend: int) -> None:
        """The same for the address of a constant in a template."""

    def relocate(self, code: bytearray, offset: int, start: int, target: int) -> None:
        """Fill in a relocation's field, the code being at `start`: a symbol's address, or that of a place in the table."""

    def jump_by_table(self, index: int) -> bytes:
        """A jump by a table of 32-bit distances, which counts from its own start and follows at once.

        It changes SCRATCH and RECORD.
        """

    def nops(self, count: int) -> bytes:
        """So many bytes that do nothing, a multiple of the size of instructions."""

    def trap(self, number: int) -> bytes:
        """The call of a trap, whose return address is its place. INDEX has what the trap is told."""

    def set_index(self, value: int) -> bytes:
        """A number below 2^31 into INDEX."""

    def set_service(self, number: int) -> bytes:
        """The number for a `call_host` that follows."""

    # -------------------------------------------------------------------------------------------- frames

    def enter(self, saved: Sequence[int], *, handlers: bool) -> bytes:
        """The beginning of a function: save registers; with `handlers`, the context and on top of it the frame too."""

    def leave(self, saved: Sequence[int], *, handlers: bool) -> bytes:
        """Its opposite. What is left is to return, or to jump to a function that does."""

    def frame_size(self, saved: int, *, handlers: bool) -> int:
        """How far above the stack pointer the return address lies, with so many registers saved."""

    COMPARE_STACK_LIMIT: bytes  # the native stack's pointer with its limit
    COMPARE_FRAME_END: bytes  # the end of the frame with the limit of the value stack

    def set_frame_end(self, code: bytearray, end: int, size: int) -> None:
        """Fill in the size of the frame, where a COMPARE_FRAME_END ends at `end`."""

    def add_frame(self, count: int) -> bytes:
        """Move the frame by so many bytes."""

    # -------------------------------------------------------------------------------------------- slots

    def copy_slot(self, target: int, source: int, *, wide: bool) -> bytes:
        """Copy a slot, or the 4 bytes of an i32."""

    def set_slot_32(self, offset: int, value: int) -> bytes:
        """Set the 4 bytes of an i32."""

    def set_slot_64(self, offset: int, value: int) -> bytes:
        """Set a slot."""

    def clear_slots(self, offsets: Sequence[int]) -> bytes:
        """Zero slots, in ascending order; what lies between them may be lost, and temporary registers."""

    # -------------------------------------------------------------------------------------------- fuel

    def pay(self, offset: int, cost: int) -> bytes:
        """Subtract from 8 bytes of the context: BELOW if there was less. As long for every cost."""

    def refund(self, offset: int, cost: int) -> bytes:
        """Add it again, and put the cost into INDEX, where a trap that follows finds it."""

    # -------------------------------------------------------------------------------------------- the rest

    def load(self, register: int, base: int, offset: int) -> bytes:
        """Load 8 bytes."""

    def store(self, register: int, base: int, offset: int) -> bytes:
        """Store 8 bytes."""

    def address(self, register: int, base: int, offset: int) -> bytes:
        """The sum of a register and a number."""

    def move(self, target: int, source: int) -> bytes:
        """Copy a register."""

    def shift_right(self, register: int, count: int) -> bytes:
        """Shift 64 bits, unsigned."""

    def compare(self, register: int, base: int, offset: int) -> bytes:
        """Compare a register with 8 bytes of memory."""

    def compare_zero(self, register: int) -> bytes:
        """Compare 64 bits with 0."""

    def compare_constant(self, register: int, value: int) -> bytes:
        """Compare an i32 with a constant."""

    def compare_word(self, base: int, value: int) -> bytes:
        """Compare the 8 bytes at an address with a small constant."""

    def load_element(self, register: int, index: int) -> bytes:
        """Load 8 bytes from the array whose address is in RECORD."""

    def store_element(self, register: int, index: int) -> bytes:
        """Store 8 bytes there."""

    IS_OWN_RECORD: bytes  # compare the context of the function in RECORD with ours
    CALL_RECORD: bytes  # call that function, without a switch of contexts
    JUMP_RECORD: bytes
