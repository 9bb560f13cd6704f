"""The registers that have a meaning, in wasm code and in the hand-written sequences.

Others are the templates' in wasm code (`templates`), by their logical numbers.
"""

from __future__ import annotations

from typing import Final

CONTEXT: Final = 20
FRAME: Final = 21
MEMORY: Final = 22  # the address of the first memory

RECORD: Final = 12  # a function record; or the number of a service or a trap
SCRATCH: Final = 13
INDEX: Final = 14
RESUME: Final = 15  # never used by wasm code: where interrupted code goes on

# In sequences that call C functions, which preserve x19 to x29.
PAGE: Final = 19  # the data page
THREAD: Final = 23  # the thread block

GENERAL: Final = (*range(8), 11, 19, *range(23, 29))
"""The general registers for operands, by logical number; those of vectors are 0 to 15."""

SAVED_VECTORS: Final = range(8, 16)
"""What functions preserve in full, and C functions by half."""
