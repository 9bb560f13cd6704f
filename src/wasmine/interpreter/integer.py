"""Lowerings of the integer instructions, in the order of the instruction table.

A builder makes the operand of the result from the operands; `h` is the height of the first. What is too long to inline
is a call of the function in `bits`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.interpreter.bounds import Test
from wasmine.interpreter.operand import CALLS, EXPRESSION, NAME, PRIMARY, TRAPS, W32, W64, Operand, Width, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.interpreter.lowering import Handler, Lowering

    Unary = Callable[[Width, Operand, int], Operand]
    Binary = Callable[[Width, Operand, Operand, int], Operand]


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    table: dict[str, Handler] = {
        "i32.const": _constant(lowering, W32),
        "i64.const": _constant(lowering, W64),
    }
    for prefix, width in (("i32", W32), ("i64", W64)):
        for name, unary in _UNARY.items():
            table[f"{prefix}.{name}"] = _unary_handler(lowering, width, unary)
        for name, binary in _BINARY.items():
            table[f"{prefix}.{name}"] = _binary_handler(lowering, width, binary)
    for name, conversion in _CONVERSIONS.items():
        table[name] = _unary_handler(lowering, W32 if name.startswith("i32") else W64, conversion)
    return table


def _constant(lowering: Lowering, width: Width) -> Handler:
    stack = lowering.stack

    def handler(value: int) -> None:
        stack.append(width.constant(value))

    return handler


def _unary_handler(lowering: Lowering, width: Width, build: Unary) -> Handler:
    stack, shorten = lowering.stack, lowering.shorten

    def handler() -> None:
        operand = stack.pop()
        stack.append(build(width, operand, len(stack)))
        shorten()

    return handler


def _binary_handler(lowering: Lowering, width: Width, build: Binary) -> Handler:
    stack, shorten = lowering.stack, lowering.shorten

    def handler() -> None:
        right = stack.pop()
        left = stack.pop()
        stack.append(build(width, left, right, len(stack)))
        shorten()

    return handler


# ---------------------------------------------------------------------------------------------------- comparisons


def _truth(text: str, reads: int, tests: tuple[Test, ...] = ()) -> Operand:
    return Operand(text, EXPRESSION, 0, 1, reads, truth=True, tests=tests)


def _order(symbol: str, a: Operand, b: Operand) -> tuple[Test, ...]:
    """What a comparison of the Python values says of the locals in it."""
    if symbol in (">", ">="):
        a, b, symbol = b, a, _MIRROR[symbol]
    strict = symbol == "<"
    tests = []
    if a.local >= 0:
        # Where a < b, a is below b's highest value; where not, it is at least b's lowest.
        tests.append(Test(a.local, (a.low, min(a.high, b.high - strict)), (max(a.low, b.low + (not strict)), a.high)))
    if b.local >= 0:
        tests.append(Test(b.local, (max(b.low, a.low + strict), b.high), (b.low, min(b.high, a.high - (not strict)))))
    return tuple(tests)


def _eqz(w: Width, a: Operand, h: int) -> Operand:
    if a.is_constant:
        return w.constant(not a.low & w.mask)
    if not a.truth and (a.low <= -w.modulus or a.high >= w.modulus):
        a = w.exact(a, f"t{h}")
    tests = tuple(Test(test.index, test.fails, test.holds) for test in a.tests)
    if a.local >= 0:
        tests = (Test(a.local, (0, 0), (1, a.high)),)
    return _truth(f"not {a.factor}", a.reads, tests)


def _equality(symbol: str) -> Binary:
    def build(w: Width, a: Operand, b: Operand, h: int) -> Operand:
        if w.is_signed(a) and b.is_constant and not w.is_exact(a):
            return _truth(f"{a.factor} {symbol} {w.signed_value(b)}", a.reads)
        if not (w.is_signed(a) and w.is_signed(b)):
            a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
        return _truth(f"{a.factor} {symbol} {b.factor}", a.reads | b.reads)

    return build


def _unsigned(symbol: str) -> Binary:
    def build(w: Width, a: Operand, b: Operand, h: int) -> Operand:
        a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
        return _truth(f"{a.factor} {symbol} {b.factor}", a.reads | b.reads, _order(symbol, a, b))

    return build


_MIRROR: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _signed(symbol: str) -> Binary:
    def build(w: Width, a: Operand, b: Operand, h: int) -> Operand:
        if b.is_constant:
            return _signed_with_constant(w, a, symbol, w.signed_value(b), h)
        if a.is_constant:
            return _signed_with_constant(w, b, _MIRROR[symbol], w.signed_value(a), h + 1)
        reads = a.reads | b.reads
        if w.is_signed(a) and w.is_signed(b):
            return _truth(f"{a.factor} {symbol} {b.factor}", reads, _order(symbol, a, b))
        a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
        if a.high < w.sign or b.high < w.sign:
            a, b = w.signed(a, f"t{h}"), w.signed(b, f"t{h + 1}")
            return _truth(f"{a.factor} {symbol} {b.factor}", reads)
        # Of two values with different signs the one that is larger unsigned is negative. Measured faster than flipping
        # both sign bits: 37 to 44 ns where that takes 48 to 52.
        first_a, x = named(a, f"t{h}")
        first_b, y = named(b, f"t{h + 1}")
        text = f"{x} {symbol} {y} if {first_a} ^ {first_b} < {w.sign} else {y} {symbol} {x}"
        return _truth(text, reads)

    return build


def _signed_with_constant(w: Width, a: Operand, symbol: str, value: int, h: int) -> Operand:
    if w.is_signed(a):
        constant = Operand(str(value), NAME, value, value)
        return _truth(f"{a.factor} {symbol} {value}", a.reads, _order(symbol, a, constant))
    a = w.exact(a, f"t{h}")
    below = symbol in ("<", "<=")
    # `a < value` or its opposite, `a >= value`; an end of the range decides at once.
    bound = value + 1 if symbol in ("<=", ">") else value
    if bound == w.sign:
        return w.constant(1 if below else 0) if not a.reads & (TRAPS | CALLS) else _always(a, below)
    if bound == -w.sign:
        return w.constant(0 if below else 1) if not a.reads & (TRAPS | CALLS) else _always(a, not below)
    if bound == 0:
        constant = w.constant(w.sign)
        symbol = ">=" if below else "<"
        return _truth(f"{a.factor} {symbol} {w.sign}", a.reads, _order(symbol, a, constant))
    first, again = named(a, f"t{h}")
    unsigned = bound & w.mask
    if bound > 0:
        text = f"{first} < {bound} or {again} >= {w.sign}" if below else f"{bound} <= {a.factor} < {w.sign}"
    else:
        text = f"{w.sign} <= {a.factor} < {unsigned}" if below else f"{first} < {w.sign} or {again} >= {unsigned}"
    # The values on one side are an interval.
    inside = (bound, w.sign - 1) if bound > 0 else (w.sign, unsigned - 1)
    holds = below is not (bound > 0)
    tests = (Test(a.local, inside if holds else None, None if holds else inside),) if a.local >= 0 else ()
    return _truth(text, a.reads, tests)


def _always(a: Operand, truth: bool) -> Operand:
    """A truth that is known, of an operand that must be evaluated all the same."""
    return _truth(f"{a.factor} {'>=' if truth else '<'} 0", a.reads)


# ---------------------------------------------------------------------------------------------------- bit counts


def _clz(w: Width, a: Operand, h: int) -> Operand:
    a = w.exact(a, f"t{h}")
    return Operand(f"{w.bits} - ({a.text}).bit_length()", EXPRESSION, 0, w.bits, a.reads)


def _ctz(w: Width, a: Operand, h: int) -> Operand:
    first, again = named(w.exact(a, f"t{h}"), f"t{h}")
    text = f"({again} & -{again}).bit_length() - 1 if {first} else {w.bits}"
    return Operand(text, EXPRESSION, 0, w.bits, a.reads)


def _popcnt(w: Width, a: Operand, h: int) -> Operand:
    a = w.exact(a, f"t{h}")
    return Operand(f"({a.text}).bit_count()", PRIMARY, 0, w.bits, a.reads)


# ---------------------------------------------------------------------------------------------------- arithmetic


def _bounded(w: Width, a: Operand, b: Operand, h: int) -> tuple[Operand, Operand]:
    """The operands, made exact if the numbers could grow without bound."""
    limit = 1 << 2 * w.bits + 8
    if not -limit < a.low <= a.high < limit:
        a = w.exact(a, f"t{h}")
    if not -limit < b.low <= b.high < limit:
        b = w.exact(b, f"t{h + 1}")
    return a, b


def _plus(w: Width, a: Operand, offset: int) -> Operand:
    """The sum of an operand and a small signed number."""
    if a.is_constant:
        return w.constant(a.low + offset)
    root = a.root
    if root is not None:
        offset += a.offset
        offset = (offset + w.sign & w.mask) - w.sign
        if not offset:
            return root
    elif a.grade == NAME and w.is_exact(a):
        root = a
    base = root or a
    text = f"{base.factor} + {offset}" if offset >= 0 else f"{base.factor} - {-offset}"
    return Operand(text, EXPRESSION, base.low + offset, base.high + offset, base.reads, root=root, offset=offset)


def _add(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a, b = _bounded(w, a, b, h)
    if b.is_constant:
        return _plus(w, a, w.signed_value(b))
    if a.is_constant:
        return _plus(w, b, w.signed_value(a))
    return Operand(f"{a.factor} + {b.factor}", EXPRESSION, a.low + b.low, a.high + b.high, a.reads | b.reads)


def _sub(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a, b = _bounded(w, a, b, h)
    if b.is_constant:
        return _plus(w, a, -w.signed_value(b))
    if a.is_constant and not a.low:
        return Operand(f"-{b.factor}", EXPRESSION, -b.high, -b.low, b.reads)
    return Operand(f"{a.factor} - {b.factor}", EXPRESSION, a.low - b.high, a.high - b.low, a.reads | b.reads)


def _mul(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    if a.is_constant and b.is_constant:
        return w.constant(a.low * b.low)
    if w.bits == 64:
        # Python's numbers have digits of 30 bits: the product of two that were not masked costs more than a mask.
        a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
    a, b = _bounded(w, a, b, h)
    corners = (a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
    return Operand(f"{a.factor} * {b.factor}", EXPRESSION, min(corners), max(corners), a.reads | b.reads)


def _call(name: str, a: Operand, b: Operand, w: Width, traps: bool = True) -> Operand:
    reads = a.reads | b.reads | (TRAPS if traps else 0)
    return Operand(f"{name}({a.text}, {b.text})", PRIMARY, 0, w.mask, reads)


def _div_s(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
    if b.low > 0 and b.is_constant and b.high < w.sign:
        if a.high < w.sign:
            return Operand(f"{a.factor} // {b.text}", EXPRESSION, 0, a.high // b.low, a.reads)
        first, again = named(a, f"t{h}")
        text = f"{again} // {b.text} if {first} < {w.sign} else -(({w.modulus} - {again}) // {b.text})"
        return Operand(text, EXPRESSION, -(w.sign // b.low), (w.sign - 1) // b.low, a.reads)
    if a.high < w.sign and b.high < w.sign:
        return Operand(f"{a.factor} // {b.factor}", EXPRESSION, 0, a.high, a.reads | b.reads | TRAPS)
    return _call(f"i{w.bits}_div_s", a, b, w)


def _div_u(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
    if b.is_constant and b.low:
        if not b.low & b.low - 1:
            shift = b.low.bit_length() - 1
            return Operand(f"{a.factor} >> {shift}", EXPRESSION, 0, a.high >> shift, a.reads)
        return Operand(f"{a.factor} // {b.text}", EXPRESSION, 0, a.high // b.low, a.reads)
    return Operand(f"{a.factor} // {b.factor}", EXPRESSION, 0, a.high, a.reads | b.reads | TRAPS)


def _rem_s(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
    if b.low > 0 and b.is_constant and b.high < w.sign:
        if a.high < w.sign:
            return Operand(f"{a.factor} % {b.text}", EXPRESSION, 0, b.low - 1, a.reads)
        first, again = named(a, f"t{h}")
        text = f"{again} % {b.text} if {first} < {w.sign} else -(({w.modulus} - {again}) % {b.text})"
        return Operand(text, EXPRESSION, 1 - b.low, b.low - 1, a.reads)
    if a.high < w.sign and b.high < w.sign:
        return Operand(f"{a.factor} % {b.factor}", EXPRESSION, 0, b.high, a.reads | b.reads | TRAPS)
    return _call(f"i{w.bits}_rem_s", a, b, w)


def _rem_u(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a, b = w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}")
    if b.is_constant and b.low:
        if not b.low & b.low - 1:
            return Operand(f"{a.factor} & {b.low - 1}", EXPRESSION, 0, b.low - 1, a.reads)
        return Operand(f"{a.factor} % {b.text}", EXPRESSION, 0, b.low - 1, a.reads)
    return Operand(f"{a.factor} % {b.factor}", EXPRESSION, 0, b.high, a.reads | b.reads | TRAPS)


# ---------------------------------------------------------------------------------------------------- bits


def _and(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    if a.is_constant and b.is_constant:
        return w.constant(a.low & b.low)
    reads = a.reads | b.reads
    for constant, other in ((b, a), (a, b)):
        if constant.is_constant:
            mask = constant.low
            if mask == w.mask:
                return w.exact(other, f"t{h}")
            if not mask & mask + 1 and other.low >= 0 and other.high <= mask:
                return other
            text = f"{a.factor} & {b.factor}"
            return Operand(text, EXPRESSION, 0, mask, reads)
    text = f"{a.factor} & {b.factor}"
    if a.truth and b.truth:
        return _truth(text, reads)
    if a.low < 0 and b.low < 0:
        bits = max(_bits(a), _bits(b))
        return Operand(text, EXPRESSION, -(1 << bits), (1 << bits) - 1, reads)
    high = min(x.high for x in (a, b) if x.low >= 0)
    return Operand(text, EXPRESSION, 0, high, reads)


def _bits(a: Operand) -> int:
    return max(a.high.bit_length(), (~a.low).bit_length() if a.low < 0 else 0)


def _either(symbol: str) -> Binary:
    def build(w: Width, a: Operand, b: Operand, h: int) -> Operand:
        if a.is_constant and b.is_constant:
            return w.constant(a.low | b.low if symbol == "|" else a.low ^ b.low)
        text, reads = f"{a.factor} {symbol} {b.factor}", a.reads | b.reads
        if a.truth and b.truth:
            return _truth(text, reads)
        bits = max(_bits(a), _bits(b))
        low = 0 if a.low >= 0 and b.low >= 0 else -(1 << bits)
        return Operand(text, EXPRESSION, low, (1 << bits) - 1, reads)

    return build


# ---------------------------------------------------------------------------------------------------- shifts


def _count(w: Width, b: Operand) -> str:
    """A shift count that is not a literal, as an operand."""
    return b.factor if b.low >= 0 and b.high < w.bits else f"({b.factor} & {w.bits - 1})"


def _shl(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    if b.is_constant:
        by = b.low & w.bits - 1
        if not by or a.is_constant:
            return a if not by else w.constant(a.low << by)
        a, _ = _bounded(w, a, b, h)
        return Operand(f"{a.factor} << {by}", EXPRESSION, a.low << by, a.high << by, a.reads)
    a = w.exact(a, f"t{h}")
    return Operand(f"{a.factor} << {_count(w, b)}", EXPRESSION, 0, a.high << w.bits - 1, a.reads | b.reads)


def _shr_s(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    if b.is_constant:
        by = b.low & w.bits - 1
        if not by:
            return a
        if w.is_signed(a):
            return Operand(f"{a.factor} >> {by}", EXPRESSION, a.low >> by, a.high >> by, a.reads)
        first, again = named(w.exact(a, f"t{h}"), f"t{h}")
        text = f"{again} >> {by} if {first} < {w.sign} else {again} - {w.modulus} >> {by}"
        return Operand(text, EXPRESSION, -w.sign >> by, w.sign - 1 >> by, a.reads)
    a = w.signed(a, f"t{h}")
    return Operand(f"{a.factor} >> {_count(w, b)}", EXPRESSION, min(a.low, 0), max(a.high, 0), a.reads | b.reads)


def _shr_u(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a = w.exact(a, f"t{h}")
    if b.is_constant:
        by = b.low & w.bits - 1
        return a if not by else Operand(f"{a.factor} >> {by}", EXPRESSION, 0, a.high >> by, a.reads)
    return Operand(f"{a.factor} >> {_count(w, b)}", EXPRESSION, 0, a.high, a.reads | b.reads)


def _rotl(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    a = w.exact(a, f"t{h}")
    if b.is_constant:
        by = b.low & w.bits - 1
        if not by:
            return a
        first, again = named(a, f"t{h}")
        # The high bits are shifted down before the low ones go up, so that no number grows beyond the width.
        text = f"{first} >> {w.bits - by} | ({again} & {(1 << w.bits - by) - 1}) << {by}"
        return Operand(text, EXPRESSION, 0, w.mask, a.reads)
    return _call(f"i{w.bits}_rotl", a, w.exact(b, f"t{h + 1}"), w, traps=False)


def _rotr(w: Width, a: Operand, b: Operand, h: int) -> Operand:
    if b.is_constant:
        return _rotl(w, a, w.constant(-b.low & w.bits - 1), h)
    return _call(f"i{w.bits}_rotr", w.exact(a, f"t{h}"), w.exact(b, f"t{h + 1}"), w, traps=False)


# ---------------------------------------------------------------------------------------------------- conversions


def _extend(bits: int) -> Unary:
    sign, mask = 1 << bits - 1, (1 << bits) - 1

    def build(w: Width, a: Operand, h: int) -> Operand:
        if -sign <= a.low and a.high < sign:
            return a
        inner = a.factor if a.low >= 0 and a.high <= mask else f"({a.factor} & {mask})"
        return Operand(f"({inner} ^ {sign}) - {sign}", EXPRESSION, -sign, sign - 1, a.reads)

    return build


def _wrap(w: Width, a: Operand, h: int) -> Operand:
    # Congruent modulo 2^64 is congruent modulo 2^32. A root that is not exact as an i32 is of no use.
    return Operand(a.text, a.grade, a.low, a.high, a.reads, a.truth) if not a.is_constant else w.constant(a.low)


def _extend_i32_s(w: Width, a: Operand, h: int) -> Operand:
    a = W32.signed(a, f"t{h}")
    return w.constant(a.low) if a.low == a.high and not a.reads else a


def _extend_i32_u(w: Width, a: Operand, h: int) -> Operand:
    return W32.exact(a, f"t{h}")


_UNARY: Final[dict[str, Unary]] = {
    "eqz": _eqz,
    "clz": _clz,
    "ctz": _ctz,
    "popcnt": _popcnt,
    "extend8_s": _extend(8),
    "extend16_s": _extend(16),
}

_BINARY: Final[dict[str, Binary]] = {
    "eq": _equality("=="),
    "ne": _equality("!="),
    "lt_s": _signed("<"),
    "lt_u": _unsigned("<"),
    "gt_s": _signed(">"),
    "gt_u": _unsigned(">"),
    "le_s": _signed("<="),
    "le_u": _unsigned("<="),
    "ge_s": _signed(">="),
    "ge_u": _unsigned(">="),
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div_s": _div_s,
    "div_u": _div_u,
    "rem_s": _rem_s,
    "rem_u": _rem_u,
    "and": _and,
    "or": _either("|"),
    "xor": _either("^"),
    "shl": _shl,
    "shr_s": _shr_s,
    "shr_u": _shr_u,
    "rotl": _rotl,
    "rotr": _rotr,
}

_CONVERSIONS: Final[dict[str, Unary]] = {
    "i32.wrap_i64": _wrap,
    "i64.extend_i32_s": _extend_i32_s,
    "i64.extend_i32_u": _extend_i32_u,
    "i64.extend32_s": _extend(32),
}
