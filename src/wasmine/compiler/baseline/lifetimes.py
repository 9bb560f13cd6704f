"""Where in a function the value of a local matters, so that locals can share a register.

Compilers reuse locals of one type, but not those of another, and many do not reuse any: loops that follow each other then
have locals of their own. A lifetime is one stretch of code, from the first access to the last, counted in the tokens of
`weights`. It is exact where a local is set first and only read while the block in which it was set is still open, as
temporaries are; whatever goes beyond that begins at the start of the function. A loop that was entered while the local had
a value keeps it to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Life:
    """From `start` to `end`, set in the block `block`, which is the one at `depth`."""

    __slots__ = ("block", "depth", "end", "start")

    def __init__(self, start: int, depth: int, block: int) -> None:
        self.start = start
        self.end = start
        self.depth = depth
        self.block = block


def lifetimes(tokens: Sequence[bytes], params: int) -> dict[int, tuple[int, int]]:
    """The first and the last token of the lifetime of every local that is used; 0 is before all code."""
    lives: dict[int, _Life] = {}
    blocks = [0]  # the open blocks, each by a number of its own: that of the token that opened it
    loops: dict[int, list[_Life]] = {}  # the open loops by number, with the lifetimes that they prolong
    for position, token in enumerate(tokens, 1):
        opcode = token[0]
        if 0x20 <= opcode <= 0x22:
            index = local_index(token)
            life = lives.get(index)
            if life is None:
                is_set = opcode != 0x20 and index >= params
                life = lives[index] = _Life(position, len(blocks) - 1, blocks[-1]) if is_set else _Life(0, 0, 0)
            elif life.depth >= len(blocks) or blocks[life.depth] != life.block:
                # Its first value may not have been the one that was set: it has one from the start.
                life.start = life.depth = life.block = 0
            life.end = position
            if loops:
                for block in blocks[life.depth + 1 :]:
                    if block in loops:
                        loops[block].append(life)
                        break
        elif opcode == 0x0B:
            for life in loops.pop(blocks.pop(), ()):
                life.end = position
        elif opcode == 5:
            blocks[-1] = position
        elif 2 <= opcode <= 4:
            blocks.append(position)
            if opcode == 3:
                loops[position] = []
    return {index: (life.start, life.end) for index, life in lives.items()}


def local_index(token: bytes) -> int:
    """The index in the token of an access to a local."""
    index = token[1]
    if index > 127:
        index = sum((byte & 127) << 7 * place for place, byte in enumerate(token[1:]))
    return index
