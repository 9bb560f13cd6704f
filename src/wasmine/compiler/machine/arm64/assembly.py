"""`Assembly`: A64 code in the making, with labels."""

from __future__ import annotations

from array import array
from typing import Final

from wasmine.compiler.machine.arm64 import words
from wasmine.compiler.machine.arm64.registers import PAGE

_LONG: Final = 0x3FFFFFF
_SHORT: Final = 0x7FFFF


class Assembly:
    """Words one behind another, and jumps to labels among them, which may come later.

    `public` are the labels that the outside knows. A label that `local` makes is known to whoever has it.
    """

    def __init__(self) -> None:
        self.words: list[int] = []
        self.public: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []
        self._locals = 0

    def __call__(self, *instructions: int) -> None:
        """Append instructions."""
        self.words += instructions

    def label(self, name: str, *, public: bool = False) -> None:
        """Here is the place of this name."""
        if name in self._labels:
            raise ValueError(f"label {name} twice")
        self._labels[name] = 4 * len(self.words)
        if public:
            self.public[name] = 4 * len(self.words)

    def local(self, name: str) -> str:
        """A name like this that nothing else has."""
        self._locals += 1
        return f"{name} {self._locals}"

    def to(self, label: str, instruction: int) -> None:
        """Append a jump, or the address of something, whose distance is that to a label."""
        self._jumps.append((len(self.words), label))
        self.words.append(instruction)

    def call(self, offset: int) -> None:
        """Call the C function whose address lies at this offset of the data page (registers.PAGE). Changes x16."""
        self(words.ldr(16, PAGE, offset), words.blr(16))

    def exchange(self, t: int, n: int, offset: int, new: int) -> None:
        """Swap 4 bytes of memory, at once. Changes x9 and x10; `new` must be none of them."""
        again = self.local("exchange")
        self(words.add_imm(9, n, offset))
        self.label(again)
        self(words.ldaxr_w(t, 9), words.stlxr_w(10, new, 9))
        self.to(again, words.cbnz_w(10))

    def set_bits(self, n: int, offset: int, bits: int) -> None:
        """Set bits in 4 bytes of memory, at once. Changes x9 to x12."""
        again = self.local("set")
        self(words.add_imm(9, n, offset), words.movz(11, bits))
        self.label(again)
        self(words.ldaxr_w(12, 9), words.orr_w(12, 12, 11), words.stlxr_w(10, 12, 9))
        self.to(again, words.cbnz_w(10))

    def unless_bit(self, label: str, t: int, bit: int) -> None:
        """Go to a label if a bit is 0. Changes x9."""
        self(words.field(9, t, bit.bit_length() - 1, 1))
        self.to(label, words.cbz(9))

    def data(self, text: bytes) -> None:
        """Append bytes that are no instructions."""
        self.words += array("I", text + bytes(-len(text) % 4))

    def place(self, name: str, offset: int) -> None:
        """There is something behind the code: a label for it."""
        self._labels[name] = offset

    def finish(self) -> bytes:
        """The code, with every jump's distance."""
        for index, label in self._jumps:
            self.words[index] = reach(self.words[index], self._labels[label] - 4 * index)
        return b"".join(word.to_bytes(4, "little") for word in self.words)


def reach(word: int, distance: int) -> int:
    """An instruction with the distance to where it leads, in bytes. ValueError if it does not reach there."""
    if word & 0x7C000000 == words.b():
        if not -0x8000000 <= distance < 0x8000000:
            raise ValueError(distance)
        return word & ~_LONG | distance >> 2 & _LONG
    if not -0x100000 <= distance < 0x100000:
        raise ValueError(distance)
    if word & 0x1F000000 == words.adr(0):
        return word & ~(3 << 29 | _SHORT << 5) | (distance & 3) << 29 | (distance >> 2 & _SHORT) << 5
    return word & ~(_SHORT << 5) | (distance >> 2 & _SHORT) << 5
