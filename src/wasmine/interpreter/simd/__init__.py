"""The meaning of vector instructions (features simd and relaxed_simd) on internal values.

A v128 is an unsigned int of 128 bits, lane 0 in the lowest. Everything is by instruction name:

- `expression(name, *immediates)`: a Python expression with `{0}`, `{1}`, `{2}` for the operands, or None where an
  expression cannot say it. It is in parentheses. Operands are used several times and must be names or numbers. The names
  in `NAMES` must be globals, and `TEMPORARIES` are names that it assigns (and that no operand may have).
- `function(name, *immediates)`: a function of the operands, for every instruction.
- `EXPRESSIONS`, `SIMD`: the same as mappings, of the instructions without immediates, and of all instructions with the
  immediate as first argument.

An instruction that reads memory takes, in place of the address, the bits it read, zero-extended, as an int;
`v128.store*_lane` takes the vector alone and gives the bits to write. `v128.load` and `v128.store` are not here: what they
move is the value itself. Immediates are as in the syntax: a lane number, or `bytes` of 16.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from wasmine.format.instructions import BY_NAME
from wasmine.interpreter.simd import floating, integer, lanes, lanewise, relaxed
from wasmine.runtime import bits

_TEMPLATES: Final = integer.TEMPLATES | floating.TEMPLATES

TEMPORARIES: Final = ("_d", "_n", "_s", "_t", "_x")
"""The local variables that expressions assign."""

NAMES: Final[dict[str, Any]] = {
    "from_bytes": int.from_bytes,
    "population": bytes(byte.bit_count() for byte in range(256)),
    "f32_from_bits": bits.f32_from_bits,
    "f32_to_bits": bits.f32_to_bits,
    "f64_from_bits": bits.f64_from_bits,
    "f64_to_bits": bits.f64_to_bits,
    "f32x4_lt": lanewise.compiled("f32x4.lt"),
    "f64x2_lt": lanewise.compiled("f64x2.lt"),
}
"""What expressions refer to."""

_GLOBALS: Final = dict(NAMES)  # `eval` adds builtins


def _template(name: str, immediates: tuple[int | bytes, ...]) -> str | None:
    """The expression in `a`, `b`, `c`."""
    name = relaxed.COUNTERPARTS.get(name, name)
    factory: Callable[..., str] | None = lanes.FACTORIES.get(name)
    template = factory(*immediates) if factory else _TEMPLATES.get(name)
    return re.sub(r"\b([dnstx])\b", r"_\1", template) if template else None


def expression(name: str, *immediates: int | bytes) -> str | None:
    """The expression of an instruction with `{0}`, `{1}`, `{2}` for its operands, or None if it has none."""
    template = _template(name, immediates)
    return (
        "(" + re.sub(r"\b[abc]\b", lambda operand: f"{{{ord(operand[0]) - 97}}}", template) + ")" if template else None
    )


@lru_cache(maxsize=4096)  # there are endlessly many shuffles
def function(name: str, *immediates: int | bytes) -> Callable[..., Any]:
    """The function of an instruction. KeyError if it is no instruction of ours."""
    template = _template(name, immediates)
    if template is None:
        return lanewise.compiled(relaxed.COUNTERPARTS.get(name, name))
    params = BY_NAME[name].params or ""
    operands = ", ".join("abc"[: len(params) - ("store" in name)])
    made: Callable[..., Any] = eval(compile(f"lambda {operands}: {template}", f"<{name}>", "eval"), _GLOBALS)
    return made


class _Functions(Mapping[str, Callable[..., Any]]):
    """Functions by instruction name, made when first asked for (all of them take 15 ms)."""

    _names = dict.fromkeys([*_TEMPLATES, *lanes.FACTORIES, *lanewise.ROWS, *relaxed.COUNTERPARTS])

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name in lanes.FACTORIES:
            return lambda immediate, *operands: function(name, immediate)(*operands)
        return function(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


SIMD: Final[Mapping[str, Callable[..., Any]]] = _Functions()
"""Every instruction's function; one with an immediate takes it first."""

EXPRESSIONS: Final[dict[str, str]] = {
    name: template for name in SIMD if name not in lanes.FACTORIES and (template := expression(name)) is not None
}
"""The expressions of all instructions without immediates that have one."""
