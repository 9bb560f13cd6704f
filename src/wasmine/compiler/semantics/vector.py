"""Vectors, relaxed ones included: those give the results of the specification's deterministic profile.

LLVM's portable operations say most of it. Where an architecture has an instruction that LLVM does not find by itself, the
meaning names it, and says in portable terms what it does elsewhere.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.compiler.semantics import float as floats
from wasmine.compiler.semantics.builder import Builder, Meaning, Target, internal, meaning
from wasmine.compiler.semantics.integer import COMPARISONS
from wasmine.compiler.semantics.memory import splat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Write = Callable[..., str]

V128 = "<2 x i64>"
WIDTHS = (8, 16, 32, 64)
FLOATS = {
    "f32x4": floats.Floats("<4 x float>", "<4 x i32>", "v4f32", 32),
    "f64x2": floats.Floats("<2 x double>", "<2 x i64>", "v2f64", 64),
}
_SCALAR_OF = {"f32x4": "float", "f64x2": "double"}
_SIGNS = {"s": "sext", "u": "zext"}
_SHIFTS = {"shl": "shl", "shr_s": "ashr", "shr_u": "lshr"}
_EXTREMES = {"min_s": "smin", "min_u": "umin", "max_s": "smax", "max_u": "umax"}
_SATURATING = {"add_sat_s": "sadd.sat", "add_sat_u": "uadd.sat", "sub_sat_s": "ssub.sat", "sub_sat_u": "usub.sat"}


def shape(width: int) -> str:
    """The LLVM type of a vector with lanes of so many bits."""
    return f"<{128 // width} x i{width}>"


def name_of(width: int) -> str:
    """The same in WebAssembly's words."""
    return f"i{width}x{128 // width}"


def meanings() -> Iterator[tuple[str, Meaning]]:
    """The family's meanings, by what they do; the relaxed and the internal ones last."""
    yield from _lanes()
    yield from _comparisons()
    yield from _bits()
    for width in WIDTHS:
        yield from _integers(width)
    yield from _widening()
    for name in FLOATS:
        yield from _floats(name)
    yield from _conversions()
    yield from _relaxed()
    yield from _internal()


def _lifted(types: tuple[str, ...], result: str, write: Write) -> Write:
    """The meaning of an operation on vectors of other shapes, between v128s.

    `types` are LLVM types of the operands: vectors are cast from v128, others are taken as they are.
    """

    def whole(b: Builder, *operands: str | int) -> str:
        values = [
            b.cast(str(operand), V128, type) if type[0] == "<" else str(operand)
            for type, operand in zip(types, operands, strict=False)
        ]
        found = write(b, *values, *operands[len(types) :])
        return b.cast(found, result, V128) if result[0] == "<" else found

    return whole


def _same_shape(type: str, arity: int, write: Write) -> Write:
    return _lifted((type,) * arity, type, write)


def _binary(operation: str, type: str) -> Write:
    return _same_shape(type, 2, lambda b, x, y: b.let(f"{operation} {type} {x}, {y}"))


def _intrinsic(name: str, type: str, arity: int) -> Write:
    return _same_shape(type, arity, lambda b, *operands: b.call(type, name, *(f"{type} {x}" for x in operands)))


def _every(type: str, value: str) -> str:
    """A constant with the same number in every lane."""
    count, _, lane = type[1:-1].partition(" x ")
    return f"<{', '.join([f'{lane} {value}'] * int(count))}>"


def _pick(b: Builder, type: str, x: str, y: str, lanes: range | tuple[int, ...]) -> str:
    """The lanes of x (from 0) and y (after them) that are named."""
    chosen = ", ".join(f"i32 {lane}" for lane in lanes)
    return b.let(f"shufflevector {type} {x}, {type} {y}, <{len(lanes)} x i32> <{chosen}>")


# ---------------------------------------------------------------------------------------------------- lanes


def _lanes() -> Iterator[tuple[str, Meaning]]:
    yield meaning("i8x16.shuffle", _shuffle)
    yield meaning("i8x16.swizzle", _same_shape("<16 x i8>", 2, swizzle))
    for width in WIDTHS:
        yield meaning(f"{name_of(width)}.splat", partial(_splat, width))
    for name, type in FLOATS.items():
        yield meaning(f"{name}.splat", partial(_splat_float, type.type, _SCALAR_OF[name]))
    for width in WIDTHS:
        for suffix, extend in (("_s", "sext"), ("_u", "zext")) if width < 32 else (("", ""),):
            write = partial(_extract, width, extend)
            yield meaning(f"{name_of(width)}.extract_lane{suffix}", write, lanes=128 // width)
        yield meaning(f"{name_of(width)}.replace_lane", partial(_replace, width), lanes=128 // width)
    for name, type in FLOATS.items():
        extract = partial(_extract_float, type.type, _SCALAR_OF[name])
        yield meaning(f"{name}.extract_lane", extract, lanes=type.lanes)
        yield meaning(f"{name}.replace_lane", partial(_replace_float, type.type, _SCALAR_OF[name]), lanes=type.lanes)


def _shuffle(b: Builder, x: str, y: str, lanes: bytes) -> str:
    type = "<16 x i8>"
    return b.cast(_pick(b, type, b.cast(x, V128, type), b.cast(y, V128, type), tuple(lanes)), type, V128)


def look_up(b: Builder, table: str, indices: str) -> str:
    """The bytes of `table` at `indices`; 0 for an index whose top bit is set. Others above 15 must not occur."""
    if b.target is Target.AMD64:
        return b.call("<16 x i8>", "llvm.x86.ssse3.pshuf.b.128", f"<16 x i8> {table}", f"<16 x i8> {indices}")
    return b.call("<16 x i8>", "llvm.aarch64.neon.tbl1.v16i8", f"<16 x i8> {table}", f"<16 x i8> {indices}")


def swizzle(b: Builder, x: str, indices: str) -> str:
    """The bytes of x at `indices`; 0 for those above 15, whose top bit a saturating addition sets on x86-64."""
    if b.target is Target.AMD64:
        bias = f"<16 x i8> {_every('<16 x i8>', '112')}"
        indices = b.call("<16 x i8>", "llvm.uadd.sat.v16i8", f"<16 x i8> {indices}", bias)
    return look_up(b, x, indices)


def _splat(width: int, b: Builder, value: str) -> str:
    if width < 32:
        value = b.let(f"trunc i32 {value} to i{width}")
    return splat(b, width, value)


def _splat_float(type: str, scalar: str, b: Builder, value: str) -> str:
    first = b.let(f"insertelement {type} poison, {scalar} {value}, i32 0")
    lanes = type[1:].partition(" ")[0]
    every = b.let(f"shufflevector {type} {first}, {type} poison, <{lanes} x i32> zeroinitializer")
    return b.cast(every, type, V128)


def _extract(width: int, extend: str, b: Builder, vector: str, lane: int) -> str:
    value = b.let(f"extractelement {shape(width)} {b.cast(vector, V128, shape(width))}, i32 {lane}")
    return b.let(f"{extend} i{width} {value} to i32") if extend else value


def _replace(width: int, b: Builder, vector: str, value: str, lane: int) -> str:
    if width < 32:
        value = b.let(f"trunc i32 {value} to i{width}")
    lanes = b.cast(vector, V128, shape(width))
    return b.cast(b.let(f"insertelement {shape(width)} {lanes}, i{width} {value}, i32 {lane}"), shape(width), V128)


def _extract_float(type: str, scalar: str, b: Builder, vector: str, lane: int) -> str:
    return b.let(f"extractelement {type} {b.cast(vector, V128, type)}, i32 {lane}")


def _replace_float(type: str, scalar: str, b: Builder, vector: str, value: str, lane: int) -> str:
    lanes = b.cast(vector, V128, type)
    return b.cast(b.let(f"insertelement {type} {lanes}, {scalar} {value}, i32 {lane}"), type, V128)


# ---------------------------------------------------------------------------------------------------- comparisons, bits


def _comparisons() -> Iterator[tuple[str, Meaning]]:
    for width in WIDTHS:
        for name, condition in COMPARISONS.items():
            if width < 64 or not name.endswith("_u"):
                yield meaning(f"{name_of(width)}.{name}", _compare("icmp", condition, shape(width), shape(width)))
    for name, type in FLOATS.items():
        for comparison, condition in floats.COMPARISONS.items():
            yield meaning(f"{name}.{comparison}", _compare("fcmp", condition, type.type, type.bits))


def _compare(operation: str, condition: str, type: str, result: str) -> Write:
    def write(b: Builder, x: str, y: str) -> str:
        holds = b.let(f"{operation} {condition} {type} {x}, {y}")
        return b.let(f"sext <{type[1:].partition(' ')[0]} x i1> {holds} to {result}")

    return _lifted((type, type), result, write)


def _bits() -> Iterator[tuple[str, Meaning]]:
    yield meaning("v128.not", lambda b, x: b.let(f"xor {V128} {x}, <i64 -1, i64 -1>"))
    yield meaning("v128.and", _binary("and", V128))
    yield meaning("v128.andnot", _and_not)
    yield meaning("v128.or", _binary("or", V128))
    yield meaning("v128.xor", _binary("xor", V128))
    yield meaning("v128.bitselect", _bitselect)
    yield meaning("v128.any_true", _any_true)


def _and_not(b: Builder, x: str, y: str) -> str:
    return b.let(f"and {V128} {x}, {b.let(f'xor {V128} {y}, <i64 -1, i64 -1>')}")


def _bitselect(b: Builder, x: str, y: str, mask: str) -> str:
    """Written without the mask's complement: with it LLVM picks a different and no better form on every processor."""
    differing = b.let(f"xor {V128} {x}, {y}")
    return b.let(f"xor {V128} {b.let(f'and {V128} {differing}, {mask}')}, {y}")


def _any_true(b: Builder, x: str) -> str:
    if b.target is Target.ARM64:
        largest = b.call("i32", "llvm.vector.reduce.umax.v4i32", f"<4 x i32> {b.cast(x, V128, '<4 x i32>')}")
        return b.let(f"zext i1 {b.let(f'icmp ne i32 {largest}, 0')} to i32")
    bits = b.cast(x, V128, "i128")
    return b.let(f"zext i1 {b.let(f'icmp ne i128 {bits}, 0')} to i32")


# ---------------------------------------------------------------------------------------------------- integer lanes


def _integers(width: int) -> Iterator[tuple[str, Meaning]]:
    name, type = name_of(width), shape(width)
    suffix = f"v{128 // width}i{width}"
    absolute = _same_shape(type, 1, lambda b, x: b.call(type, f"llvm.abs.{suffix}", f"{type} {x}", "i1 false"))
    yield meaning(f"{name}.abs", absolute)
    yield meaning(f"{name}.neg", _same_shape(type, 1, lambda b, x: b.let(f"sub {type} zeroinitializer, {x}")))
    if width == 8:
        yield meaning(f"{name}.popcnt", _intrinsic("llvm.ctpop.v16i8", type, 1))
    yield meaning(f"{name}.all_true", _lifted((type,), "i32", partial(_all_true, width)))
    yield meaning(f"{name}.bitmask", _lifted((type,), "i32", partial(_bitmask, width)))
    for shift, operation in _SHIFTS.items():
        yield meaning(f"{name}.{shift}", _lifted((type, "i32"), type, partial(_shift, width, operation)))
    yield meaning(f"{name}.add", _binary("add", type))
    yield meaning(f"{name}.sub", _binary("sub", type))
    if width < 32:
        for saturating, function in _SATURATING.items():
            yield meaning(f"{name}.{saturating}", _intrinsic(f"llvm.{function}.{suffix}", type, 2))
        yield meaning(f"{name}.avgr_u", _same_shape(type, 2, partial(_average, width)))
    if width > 8:
        yield meaning(f"{name}.mul", _binary("mul", type))
    if width < 64:
        for extreme, function in _EXTREMES.items():
            yield meaning(f"{name}.{extreme}", _intrinsic(f"llvm.{function}.{suffix}", type, 2))


def _all_true(width: int, b: Builder, x: str) -> str:
    lanes = 128 // width
    nonzero = b.let(f"icmp ne {shape(width)} {x}, zeroinitializer")
    every = b.call("i1", f"llvm.vector.reduce.and.v{lanes}i1", f"<{lanes} x i1> {nonzero}")
    return b.let(f"zext i1 {every} to i32")


def _bitmask(width: int, b: Builder, x: str) -> str:
    lanes = 128 // width
    negative = b.let(f"icmp slt {shape(width)} {x}, zeroinitializer")
    return b.let(f"zext i{lanes} {b.cast(negative, f'<{lanes} x i1>', f'i{lanes}')} to i32")


def _shift(width: int, operation: str, b: Builder, x: str, count: str) -> str:
    amount = b.let(f"and i32 {count}, {width - 1}")
    if width != 32:
        amount = b.let(f"{'zext' if width == 64 else 'trunc'} i32 {amount} to i{width}")
    return b.let(f"{operation} {shape(width)} {x}, {b.cast(splat(b, width, amount), V128, shape(width))}")


def _average(width: int, b: Builder, x: str, y: str) -> str:
    type, wide = shape(width), f"<{128 // width} x i{2 * width}>"
    total = b.let(f"add {wide} {b.let(f'zext {type} {x} to {wide}')}, {b.let(f'zext {type} {y} to {wide}')}")
    one = _every(wide, "1")
    rounded = b.let(f"add {wide} {total}, {one}")
    return b.let(f"trunc {wide} {b.let(f'lshr {wide} {rounded}, {one}')} to {type}")


# ---------------------------------------------------------------------------------------------------- other widths


def _widening() -> Iterator[tuple[str, Meaning]]:
    for narrow, wide in (8, 16), (16, 32), (32, 64):
        for part in ("low", "high"):
            for sign, extend in _SIGNS.items():
                whole = partial(_extend_half, narrow, part, extend)
                name = f"{name_of(wide)}.extend_{part}_{name_of(narrow)}_{sign}"
                yield meaning(name, _lifted((shape(narrow),), shape(wide), whole))
                name = f"{name_of(wide)}.extmul_{part}_{name_of(narrow)}_{sign}"
                product = partial(_extended_product, narrow, part, extend)
                yield meaning(name, _lifted((shape(narrow),) * 2, shape(wide), product))
    for narrow, wide in (8, 16), (16, 32):
        for sign, extend in _SIGNS.items():
            name = f"{name_of(wide)}.extadd_pairwise_{name_of(narrow)}_{sign}"
            yield meaning(name, _lifted((shape(narrow),), shape(wide), partial(_add_pairs, narrow, extend)))
            name = f"{name_of(narrow)}.narrow_{name_of(wide)}_{sign}"
            yield meaning(name, _lifted((shape(wide),) * 2, shape(narrow), partial(_narrow, narrow, sign)))
    yield meaning("i32x4.dot_i16x8_s", _lifted(("<8 x i16>",) * 2, "<4 x i32>", _dot))
    yield meaning("i16x8.q15mulr_sat_s", _same_shape("<8 x i16>", 2, _q15_product))


def _extend_half(narrow: int, part: str, extend: str, b: Builder, x: str) -> str:
    lanes = 64 // narrow
    half = _pick(b, shape(narrow), x, "poison", range(lanes) if part == "low" else range(lanes, 2 * lanes))
    return b.let(f"{extend} <{lanes} x i{narrow}> {half} to {shape(2 * narrow)}")


def _extended_product(narrow: int, part: str, extend: str, b: Builder, x: str, y: str) -> str:
    wide_x, wide_y = (_extend_half(narrow, part, extend, b, operand) for operand in (x, y))
    return b.let(f"mul {shape(2 * narrow)} {wide_x}, {wide_y}")


def _add_pairs(narrow: int, extend: str, b: Builder, x: str) -> str:
    """The sums of neighbours. Within a wide lane, the even one is the low half and the odd one the high half."""
    wide = shape(2 * narrow)
    lanes = b.cast(x, shape(narrow), wide)
    count = _every(wide, str(narrow))
    shift = "ashr" if extend == "sext" else "lshr"
    odd = b.let(f"{shift} {wide} {lanes}, {count}")
    even = b.let(f"{shift} {wide} {b.let(f'shl {wide} {lanes}, {count}')}, {count}")
    return b.let(f"add {wide} {even}, {odd}")


_PACKS = {
    (8, "s"): "llvm.x86.sse2.packsswb.128",
    (8, "u"): "llvm.x86.sse2.packuswb.128",
    (16, "s"): "llvm.x86.sse2.packssdw.128",
    (16, "u"): "llvm.x86.sse41.packusdw",
}


def _narrow(narrow: int, sign: str, b: Builder, x: str, y: str) -> str:
    """The lanes of x, then of y, which are signed, as the nearest narrow numbers."""
    wide = shape(2 * narrow)
    if b.target is Target.AMD64:
        return b.call(shape(narrow), _PACKS[narrow, sign], f"{wide} {x}", f"{wide} {y}")
    lanes = 64 // narrow
    low, high = (-(1 << narrow - 1), (1 << narrow - 1) - 1) if sign == "s" else (0, (1 << narrow) - 1)
    suffix = f"v{lanes}i{2 * narrow}"

    def clamp(operand: str) -> str:
        raised = b.call(wide, f"llvm.smax.{suffix}", f"{wide} {operand}", f"{wide} {_every(wide, str(low))}")
        clamped = b.call(wide, f"llvm.smin.{suffix}", f"{wide} {raised}", f"{wide} {_every(wide, str(high))}")
        return b.let(f"trunc {wide} {clamped} to <{lanes} x i{narrow}>")

    return _pick(b, f"<{lanes} x i{narrow}>", clamp(x), clamp(y), range(2 * lanes))


def _dot(b: Builder, x: str, y: str) -> str:
    """Sums of two neighbouring products."""
    if b.target is Target.AMD64:
        return b.call("<4 x i32>", "llvm.x86.sse2.pmadd.wd", f"<8 x i16> {x}", f"<8 x i16> {y}")
    wide_x, wide_y = (b.let(f"sext <8 x i16> {operand} to <8 x i32>") for operand in (x, y))
    products = b.let(f"mul <8 x i32> {wide_x}, {wide_y}")
    even = _pick(b, "<8 x i32>", products, "poison", range(0, 8, 2))
    odd = _pick(b, "<8 x i32>", products, "poison", range(1, 8, 2))
    return b.let(f"add <4 x i32> {even}, {odd}")


def _q15_product(b: Builder, x: str, y: str) -> str:
    """(x * y + 0x4000) >> 15; the one product that is too large, of the smallest numbers, becomes the largest one."""
    type = "<8 x i16>"
    if b.target is Target.ARM64:
        return b.call(type, "llvm.aarch64.neon.sqrdmulh.v8i16", f"{type} {x}", f"{type} {y}")
    product = b.call(type, "llvm.x86.ssse3.pmul.hr.sw.128", f"{type} {x}", f"{type} {y}")
    wrapped = b.let(f"icmp eq {type} {product}, {_every(type, '-32768')}")
    return b.let(f"xor {type} {product}, {b.let(f'sext <8 x i1> {wrapped} to {type}')}")


# ---------------------------------------------------------------------------------------------------- float lanes


def _floats(name: str) -> Iterator[tuple[str, Meaning]]:
    type = FLOATS[name]

    def lifted(arity: int, function: Callable[..., str], *arguments: object) -> Write:
        return _same_shape(type.type, arity, partial(function, type, *arguments))

    yield meaning(f"{name}.abs", lifted(1, floats.absolute))
    yield meaning(f"{name}.neg", lifted(1, floats.negate))
    for rounding, function in floats.ROUNDINGS.items():
        yield meaning(f"{name}.{rounding}", lifted(1, floats.unary, function))
    for arithmetic, operation in floats.ARITHMETIC.items():
        yield meaning(f"{name}.{arithmetic}", lifted(2, floats.binary, operation))
    for extreme, (condition, zeros) in floats.EXTREMES.items():
        yield meaning(f"{name}.{extreme}", lifted(2, floats.extremum, condition, zeros))
    for extreme, condition in ("pmin", "olt"), ("pmax", "ogt"):
        # If y is the smaller (larger) then y else x: the operands change places.
        yield meaning(f"{name}.{extreme}", lifted(2, _pseudo_extremum, condition))


def _pseudo_extremum(type: floats.Floats, condition: str, b: Builder, x: str, y: str) -> str:
    return floats.pseudo_extremum(type, condition, b, y, x)


def _conversions() -> Iterator[tuple[str, Meaning]]:
    yield meaning("f32x4.demote_f64x2_zero", _lifted(("<2 x double>",), "<4 x float>", _demote))
    yield meaning("f64x2.promote_low_f32x4", _lifted(("<4 x float>",), "<2 x double>", _promote))
    for sign, operation in ("s", "sitofp"), ("u", "uitofp"):
        convert = partial(_convert, operation)
        yield meaning(f"f32x4.convert_i32x4_{sign}", _lifted(("<4 x i32>",), "<4 x float>", convert))
        convert_low = partial(_convert_low, operation)
        yield meaning(f"f64x2.convert_low_i32x4_{sign}", _lifted(("<4 x i32>",), "<2 x double>", convert_low))
        saturate, saturate_zero = partial(_saturate, sign), partial(_saturate_zero, sign)
        yield meaning(f"i32x4.trunc_sat_f32x4_{sign}", _lifted(("<4 x float>",), "<4 x i32>", saturate))
        name = f"i32x4.trunc_sat_f64x2_{sign}_zero"
        yield meaning(name, _lifted(("<2 x double>",), "<4 x i32>", saturate_zero))


def _demote(b: Builder, x: str) -> str:
    return _pick(b, "<2 x float>", b.let(f"fptrunc <2 x double> {x} to <2 x float>"), "zeroinitializer", range(4))


def _promote(b: Builder, x: str) -> str:
    return b.let(f"fpext <2 x float> {_pick(b, '<4 x float>', x, 'poison', range(2))} to <2 x double>")


def _convert(operation: str, b: Builder, x: str) -> str:
    return b.let(f"{operation} <4 x i32> {x} to <4 x float>")


def _convert_low(operation: str, b: Builder, x: str) -> str:
    return b.let(f"{operation} <2 x i32> {_pick(b, '<4 x i32>', x, 'poison', range(2))} to <2 x double>")


def _saturate(sign: str, b: Builder, x: str) -> str:
    if b.target is not Target.AMD64:
        return b.call("<4 x i32>", f"llvm.fpto{sign}i.sat.v4i32.v4f32", f"<4 x float> {x}")
    type, limit = "<4 x float>", _every("<4 x float>", "0x41E0000000000000")  # 2^31
    if sign == "s":
        number = _without_nans(b, FLOATS["f32x4"], x)
        return _truncate_below(b, number, limit)
    # The part from 2^31 up is converted by itself: 0 where there is none.
    positive = floats.pseudo_extremum(FLOATS["f32x4"], "ogt", b, x, "zeroinitializer")
    above = _truncate_below(b, b.let(f"fsub {type} {positive}, {limit}"), limit)
    high = b.call("<4 x i32>", "llvm.smax.v4i32", f"<4 x i32> {above}", "<4 x i32> zeroinitializer")
    low = b.call("<4 x i32>", "llvm.x86.sse2.cvttps2dq", f"{type} {positive}")
    return b.let(f"add <4 x i32> {low}, {high}")


def _saturate_zero(sign: str, b: Builder, x: str) -> str:
    if b.target is not Target.AMD64:
        found = b.call("<2 x i32>", f"llvm.fpto{sign}i.sat.v2i32.v2f64", f"<2 x double> {x}")
        return _pick(b, "<2 x i32>", found, "zeroinitializer", range(4))
    type, double = FLOATS["f64x2"], "<2 x double>"
    if sign == "s":
        largest = _every(double, "2147483647.0")
        bounded = floats.pseudo_extremum(type, "olt", b, _without_nans(b, type, x), largest)
        return b.call("<4 x i32>", "llvm.x86.sse2.cvttpd2dq", f"{double} {bounded}")
    # An integer plus 2^52 has the integer in its low bits.
    positive = floats.pseudo_extremum(type, "ogt", b, x, "zeroinitializer")
    bounded = floats.pseudo_extremum(type, "olt", b, positive, _every(double, "4294967295.0"))
    whole = floats.unary(type, "trunc", b, bounded)
    shifted = b.let(f"fadd {double} {whole}, {_every(double, '4503599627370496.0')}")
    return _pick(b, "<4 x i32>", b.cast(shifted, double, "<4 x i32>"), "zeroinitializer", (0, 2, 4, 5))


def _without_nans(b: Builder, type: floats.Floats, x: str) -> str:
    """x with 0 for every NaN."""
    ordered = b.let(f"sext {type.condition} {b.let(f'fcmp ord {type.type} {x}, {x}')} to {type.bits}")
    return b.cast(b.let(f"and {type.bits} {ordered}, {b.cast(x, type.type, type.bits)}"), type.bits, type.type)


def _truncate_below(b: Builder, x: str, limit: str) -> str:
    """x as i32s; x86-64 gives the smallest one for what is out of range, of which the complement is the largest."""
    converted = b.call("<4 x i32>", "llvm.x86.sse2.cvttps2dq", f"<4 x float> {x}")
    large = b.let(f"sext <4 x i1> {b.let(f'fcmp oge <4 x float> {x}, {limit}')} to <4 x i32>")
    return b.let(f"xor <4 x i32> {converted}, {large}")


# ---------------------------------------------------------------------------------------------------- relaxed, internal


def _relaxed() -> Iterator[tuple[str, Meaning]]:
    yield meaning("i8x16.relaxed_swizzle", _same_shape("<16 x i8>", 2, swizzle))
    for sign in "su":
        yield meaning(
            f"i32x4.relaxed_trunc_f32x4_{sign}", _lifted(("<4 x float>",), "<4 x i32>", partial(_saturate, sign))
        )
        zero = partial(_saturate_zero, sign)
        yield meaning(f"i32x4.relaxed_trunc_f64x2_{sign}_zero", _lifted(("<2 x double>",), "<4 x i32>", zero))
    for name, type in FLOATS.items():
        yield meaning(f"{name}.relaxed_madd", _same_shape(type.type, 3, partial(_multiply_add, type, "fadd")))
        yield meaning(f"{name}.relaxed_nmadd", _same_shape(type.type, 3, partial(_multiply_add, type, "fsub")))
        for extreme, (condition, zeros) in floats.EXTREMES.items():
            write = partial(floats.extremum, type, condition, zeros)
            yield meaning(f"{name}.relaxed_{extreme}", _same_shape(type.type, 2, write))
    for width in WIDTHS:
        yield meaning(f"{name_of(width)}.relaxed_laneselect", _bitselect)
    yield meaning("i16x8.relaxed_q15mulr_s", _same_shape("<8 x i16>", 2, _q15_product))
    dot = _lifted(("<16 x i8>",) * 2, "<8 x i16>", _dot_of_bytes)
    yield meaning("i16x8.relaxed_dot_i8x16_i7x16_s", dot)
    dot_add = _lifted(("<16 x i8>", "<16 x i8>", "<4 x i32>"), "<4 x i32>", _dot_of_bytes_add)
    yield meaning("i32x4.relaxed_dot_i8x16_i7x16_add_s", dot_add)


def _multiply_add(type: floats.Floats, operation: str, b: Builder, x: str, y: str, z: str) -> str:
    """x * y + z, or z - x * y, rounded twice."""
    product = b.let(f"fmul {type.type} {x}, {y}")
    return b.let(f"{operation} {type.type} {z}, {product}")


def _dot_of_bytes(b: Builder, x: str, y: str) -> str:
    """Sums of two neighbouring products, both operands signed, saturated."""

    def half(part: str) -> str:
        wide_x, wide_y = (_extend_half(8, part, "sext", b, operand) for operand in (x, y))
        return _dot(b, wide_x, wide_y)

    return _narrow(16, "s", b, half("low"), half("high"))


def _dot_of_bytes_add(b: Builder, x: str, y: str, z: str) -> str:
    """Sums of four neighbouring products, each pair saturated, plus z."""
    pairs = _dot_of_bytes(b, x, y)
    sums = _dot(b, pairs, _every("<8 x i16>", "1"))
    return b.let(f"add <4 x i32> {sums}, {z}")


def _internal() -> Iterator[tuple[str, Meaning]]:
    """What a shuffle becomes when its lanes are known only when a module is compiled."""
    # Bytes of one vector, at places in a constant; a place with its top bit set gives 0.
    yield internal("i8x16.permute!", "vv -> v", _same_shape("<16 x i8>", 2, look_up))
    # The common shuffles that are one instruction.
    for width in WIDTHS:
        lanes = 64 // width
        for part, start in ("low", 0), ("high", lanes):
            chosen = tuple(source + start + lane for lane in range(lanes) for source in (0, 2 * lanes))
            pick = partial(_interleave, shape(width), chosen)
            yield internal(f"{name_of(width)}.interleave_{part}!", "vv -> v", _same_shape(shape(width), 2, pick))


def _interleave(type: str, lanes: tuple[int, ...], b: Builder, x: str, y: str) -> str:
    return _pick(b, type, x, y, lanes)
