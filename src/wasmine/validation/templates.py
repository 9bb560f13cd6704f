"""The source of the typed walk, instruction by instruction: what one iteration of its loop does for each of them.

A template is Python source over the walk's variables:

    m       the context                         it      the iterator over the body's bytes
    op      the instruction's slot              V       the visitor's handlers; `silent` where code is unreachable
    st      operand stack of the block          ctl     control frames, innermost last
    res     results of the block                loc     types of the locals (`var`: the same, and marks them as set)

and its immediates: `i` and `j` indices and numbers, `b` bytes, `ps rs ti` parameters, results and index of a block type,
`a n o at` alignment, memory, offset and address type of a memory access, `x` anything else (`x y` two of it).
A frame is (outer st, outer res, outer V, label types, opcode, parameters): see `@enter` and `@close`, which take and give
`outer above V x block ps`. A block has a stack of its own, so taking more operands than it has is an `IndexError`. Lines
that start with `@` are macros, see `expand`.
"""

from __future__ import annotations

from functools import cache
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.format.instructions import Instruction

LETTERS: Final = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128", "a": "at"}

# Immediates that are one unsigned number.
_NUMBERS: Final = frozenset(
    ("label", "func", "type", "table", "local", "global", "tag", "elem", "data", "field", "memory", "count")
)

_READ: Final = """
    for {v} in it: break
    else: truncated()
"""
_READ_UNSIGNED: Final = f"""{_READ}
    if {{v}} > 127: {{v}} = unsigned_32(it, {{v}})
"""
_READ_MEMARG: Final = """
    for a in it: break
    else: truncated()
    if a > {bound}:
        a, n = memory_flags(m, it, a, {bound})
        at = m.memories[n].address
    else:
        n = 0
        at = address_0
    for o in it: break
    else: truncated()
    if o > 127: o = offset(m, it, o, at)
"""
_READ_BLOCK: Final = """
    for i in it: break
    else: truncated()
    if i == 64:
        ps = rs = ()
        ti = None
    elif i in inline_results:
        ps = ()
        rs = inline_results[i]
        ti = None
    else:
        ps, rs, ti = block_type(m, it, i)
"""
# What must be checked of an index where the signature is fixed, in this order.
_CHECKS: Final = {
    "memory": "at = address(m, {v})",
    "data": "data(m, {v})",
    "elem": "element(m, {v})",
}
# The other immediates: the source that reads one, and the arguments that a visitor gets.
_READS: Final = {
    "block": (_READ_BLOCK, "ps, rs, ti"),
    "memarg": (_READ_MEMARG, "o, n, a"),
    "i32": (f"{_READ}\n    if i > 127: i = signed(it, i, 32)\n    elif i > 63: i -= 128", "i"),
    "i64": (f"{_READ}\n    if i > 127: i = signed(it, i, 64)\n    elif i > 63: i -= 128", "i"),
    "f32": ("    b = fixed(it, 4)", "b"),
    "f64": ("    b = fixed(it, 8)", "b"),
    "v128": ("    b = fixed(it, 16)", "b"),
    "lanes": ("    b = lanes(it)", "b"),
    "lane": (f"{_READ}\n    if {{v}} >= {{bound}}: lane({{v}}, {{bound}})", "{v}"),
    "labels": ("    x = labels(it)", "x"),
    "heap": ("    x = heap_type(m, it)", "x"),
    "ref": ("    x = ref_type(m, it, nullable=False)", "x"),
    "refnull": ("    x = ref_type(m, it, nullable=True)", "x"),
    "castop": ("    i, x, y = cast(m, it)", "i, x, y"),
    "valtypes": ("    x = value_types(m, it)", "x"),
    "catches": ("    x = catches(it)", "x"),
    "zero": (f"{_READ}\n    zero({{v}})", ""),
}

# What instructions do whose signature is not fixed.
_CONTROL: Final = {
    "unreachable": "@visit\n@dead",
    "block": """
        @pop ps
        @enter rs
    """,
    "loop": """
        @pop ps
        @enter ps
    """,
    "if": """
        @pop_one i32
        @pop ps
        @enter rs
    """,
    "else": """
        @close
        if block != IF: misplaced("else", "if")
        ctl.append((outer, above, V, x, ELSE, ps))
        st = [*ps]
    """,
    "end": """
        @close
        if block == IF and ps != res: if_without_else(ps, res)
        @visit
        if outer is None: break
        st = outer
        @push res
        res = above
    """,
    "br": """
        x = ctl[~i][3]
        @pop x
        @visit
        @dead
    """,
    "br_if": """
        @pop_one i32
        x = ctl[~i][3]
        if x:
            pop_all(st, x)
            st.extend(x)
    """,
    "br_table": """
        @pop_one i32
        br_table(st, ctl, x)
        @visit
        @dead
    """,
    "return": """
        x = ctl[0][3]
        @pop x
        @visit
        @dead
    """,
    "call": """
        y = signatures[i]
        x = y.params
        @pop x
        x = y.results
        @push x
    """,
    "call_indirect": """
        x = call_indirect(m, st, i, j).results
        @push x
    """,
    "call_ref": """
        x = call_ref(m, st, i).results
        @push x
    """,
    "return_call": """
        w = signatures[i]
        pop_all(st, w.params)
        returned(w, ctl[0][3])
        @visit
        @dead
    """,
    "return_call_indirect": """
        returned(call_indirect(m, st, i, j), ctl[0][3])
        @visit
        @dead
    """,
    "return_call_ref": """
        returned(call_ref(m, st, i), ctl[0][3])
        @visit
        @dead
    """,
    "throw": """
        pop_all(st, tag_params(m, i))
        @visit
        @dead
    """,
    "throw_ref": """
        @pop_one exnref
        @visit
        @dead
    """,
    "try_table": """
        @pop ps
        try_table(m, ctl, x)
        @enter rs
    """,
    "try": """
        @pop ps
        @enter rs
    """,
    "catch": """
        @close
        if block != TRY and block != CATCH: misplaced("catch", "try")
        ctl.append((outer, above, V, x, CATCH, ps))
        st = [*tag_params(m, i)]
    """,
    "catch_all": """
        @close
        if block != TRY and block != CATCH: misplaced("catch_all", "try")
        ctl.append((outer, above, V, x, CATCH_ALL, ps))
        st = []
    """,
    "delegate": """
        @close
        if block != TRY: misplaced("delegate", "try")
        label(ctl, i)
        st = outer
        @push res
        res = above
    """,
    "rethrow": """
        rethrow(ctl, i)
        @visit
        @dead
    """,
}
_OTHERS: Final = {
    "drop": "t = st.pop()",
    "select": """
        @pop_one i32
        t = st.pop()
        w = st.pop()
        if t is not w or t.__class__ is not NumberType: t = selected(t, w)
        st.append(t)
    """,
    "local.get": "st.append(loc[i])",
    "local.set": """
        t = st.pop()
        w = var[i]
        if t is not w: check(t, w)
    """,
    "local.tee": """
        t = st[-1]
        w = var[i]
        if t is not w:
            check(t, w)
            st[-1] = w
    """,
    "global.get": "st.append(globals_[i].value)",
    "global.set": """
        w = globals_[i]
        if not w.mutable: immutable_global(i)
        @pop_one w.value
    """,
    "ref.null": "ref_null(m, st, x)",
    "ref.is_null": "t = ref_is_null(st)",
    "ref.func": "ref_func(m, st, i)",
    "ref.as_non_null": "t = ref_as_non_null(st)",
    "br_on_null": "t = br_on_null(st, ctl, i)",
    "br_on_non_null": "t = br_on_non_null(st, ctl, i)",
    "ref.eq": "ref_eq(st)",
    "ref.test": "ref_test(m, st, x)",
    "ref.cast": "ref_cast(m, st, x)",
    "br_on_cast": "br_on_cast(m, st, ctl, i, x, y, fail=False)",
    "br_on_cast_fail": "br_on_cast(m, st, ctl, i, x, y, fail=True)",
    "any.convert_extern": "any_convert_extern(st)",
    "extern.convert_any": "extern_convert_any(st)",
    "ref.i31": """
        @pop_one i32
        st.append(i31)
    """,
    "i31.get_s": """
        @pop_one i31ref
        st.append(i32)
    """,
    "i31.get_u": """
        @pop_one i31ref
        st.append(i32)
    """,
    "table.get": "table_get(m, st, i)",
    "table.set": "table_set(m, st, i)",
    "table.size": "table_size(m, st, i)",
    "table.grow": "table_grow(m, st, i)",
    "table.fill": "table_fill(m, st, i)",
    "table.copy": "table_copy(m, st, i, j)",
    "table.init": "table_init(m, st, i, j)",
    "memory.copy": "memory_copy(m, st, i, j)",
    "struct.new": "struct_new(m, st, i)",
    "struct.new_default": "struct_new_default(m, st, i)",
    "struct.get": "struct_get(m, st, i, j)",
    "struct.get_s": "struct_get(m, st, i, j, extends=True)",
    "struct.get_u": "struct_get(m, st, i, j, extends=True)",
    "struct.set": "struct_set(m, st, i, j)",
    "array.new": "array_new(m, st, i)",
    "array.new_default": "array_new_default(m, st, i)",
    "array.new_fixed": "array_new_fixed(m, st, i, j)",
    "array.new_data": "array_new_data(m, st, i, j)",
    "array.new_elem": "array_new_elem(m, st, i, j)",
    "array.get": "array_get(m, st, i)",
    "array.get_s": "array_get(m, st, i, extends=True)",
    "array.get_u": "array_get(m, st, i, extends=True)",
    "array.set": "array_set(m, st, i)",
    "array.len": "array_len(st)",
    "array.fill": "array_fill(m, st, i)",
    "array.copy": "array_copy(m, st, i, j)",
    "array.init_data": "array_init_data(m, st, i, j)",
    "array.init_elem": "array_init_elem(m, st, i, j)",
}
_TYPED_SELECT: Final = 0x1C

# In constant expressions.
_CONSTANT: Final = {
    "global.get": "constant_global(m, st, i, visible)",
    "ref.func": "constant_ref_func(m, st, i)",
}
EXTENDED_CONST_NAMES: Final = frozenset(("i32.add", "i32.sub", "i32.mul", "i64.add", "i64.sub", "i64.mul"))
CONSTANT_NAMES: Final = EXTENDED_CONST_NAMES | frozenset(
    (
        *("end", "i32.const", "i64.const", "f32.const", "f64.const", "v128.const"),
        *("ref.null", "ref.func", "ref.i31", "any.convert_extern", "extern.convert_any", "global.get"),
        *("struct.new", "struct.new_default", "array.new", "array.new_default", "array.new_fixed"),
    )
)

# What a visitor gets beyond the immediates.
_EXTRA_ARGUMENTS: Final = dict.fromkeys(
    ("drop", "select", "ref.is_null", "ref.as_non_null", "br_on_null", "br_on_non_null"), "t"
) | dict.fromkeys(("else", "end", "catch", "catch_all", "delegate"), "live")

_POP_ALL: Final = "if {types}: pop_all(st, {types})"
_PUSH_ALL: Final = """
    if {types}:
        st.extend({types})
        if len({types}) > MANY: pushed = pushed_many(len({types}), pushed)
"""
_POP_ONE: Final = """
    t = st.pop()
    if t is not {types}: check(t, {types})
"""
_ENTER: Final = """
    ctl.append((st, res, V, {types}, op, ps))
    res = rs
    st = [*ps]
"""
# The results of a block must be there where its code ends, and nothing else.
_CLOSE: Final = """
    if res: pop_all(st, res)
    if st: remaining(st)
"""
_CLOSE_FRAME: Final = "outer, above, V, x, block, ps = ctl.pop()"
_DEAD: Final = "st = Polymorphic()"
# The macros that say what to do with types, or with one.
_TYPE_MACROS: Final = {"@pop": _POP_ALL, "@pop_one": _POP_ONE, "@push": _PUSH_ALL, "@enter": _ENTER}


@cache
def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in dedent(text).splitlines() if line.strip())


def expand(template: str, visit: str, visiting: bool) -> Iterator[str]:
    """The lines of a template with its macros replaced.

    `@pop TYPES` pops operands of these types, `@pop_one TYPE` one, `@push TYPES` pushes, `@enter TYPES` enters a block
    whose label takes these types, `@close` ends a block's code, `@dead` goes on in unreachable code, `@visit` calls the
    visitor (`visit`; at the end where the template does not say).
    """
    for line in _lines(template):
        macro, _, types = line.partition(" ")
        if macro in _TYPE_MACROS:
            yield from _lines(_TYPE_MACROS[macro].format(types=types))
        elif macro == "@close":
            yield from _lines(_CLOSE)
            if visiting:
                yield "live = V is not silent"
            yield _CLOSE_FRAME
        elif macro == "@dead":
            yield _DEAD
            if visiting:
                yield "V = silent"
        elif macro != "@visit":
            yield line
        elif visiting:
            yield visit
    if visiting and "@visit" not in template:
        yield visit


def _fixed_signature(params: str, results: str) -> Iterator[str]:
    """The source that pops and pushes operands of a fixed signature."""
    for position, letter in reversed(tuple(enumerate(params))):
        type_ = LETTERS[letter]
        if position == 0 and results:
            yield "t = st[-1]"
            yield from _replace_top(type_, LETTERS[results[0]])
        else:
            yield from _lines(_POP_ONE.format(types=type_))
    for letter in results[bool(params) :]:
        yield f"st.append({LETTERS[letter]})"


def _replace_top(found: str, result: str) -> Iterator[str]:
    if found == result:
        yield f"if t is not {found}:"
        yield f"    check(t, {found})"
        yield f"    st[-1] = {found}"
    else:
        yield f"if t is not {found}: check(t, {found})"
        yield f"st[-1] = {result}"


def _reads(instruction: Instruction) -> tuple[list[str], list[str]]:
    """The source that reads the immediates, and the arguments for a visitor."""
    source: list[str] = []
    arguments: list[str] = []
    names: dict[str, str] = {}
    free = iter("ij")
    for kind, bound in instruction.immediates:
        text, given = (_READ_UNSIGNED, "{v}") if kind in _NUMBERS else _READS[kind]
        names[kind] = next(free) if kind in _NUMBERS or kind == "lane" else "i"
        source += _lines(text.format(v=names[kind], bound=bound))
        if given:
            arguments.append(given.format(v=names[kind]))
    if instruction.params is not None:
        source += [check.format(v=names[kind]) for kind, check in _CHECKS.items() if kind in names]
    if instruction.is_atomic and instruction.alignment >= 0:
        source.append(f"if a != {instruction.alignment}: unnatural(a, {instruction.alignment})")
    return source, arguments


def source(instruction: Instruction, *, visiting: bool, constant: bool = False) -> list[str]:
    """The lines that decode, check and, if `visiting`, hand over one instruction."""
    lines, arguments = _reads(instruction)
    if instruction.name in _EXTRA_ARGUMENTS:
        arguments.append(_EXTRA_ARGUMENTS[instruction.name])
    visit = f"V[op]({', '.join(arguments)})"
    if instruction.params is not None and instruction.results is not None:
        lines += _fixed_signature(instruction.params, instruction.results)
        return [*lines, visit] if visiting else lines
    if instruction.opcode == _TYPED_SELECT:
        template = "t = typed_select(m, st, x)"
    elif constant and instruction.name in _CONSTANT:
        template = _CONSTANT[instruction.name]
    else:
        template = _CONTROL.get(instruction.name) or _OTHERS[instruction.name]
    return [*lines, *expand(template, visit, visiting)]


def indented(lines: list[str], depth: int) -> str:
    """Lines as a suite of the given depth; an empty one is `pass`."""
    return indent("\n".join(lines or ["pass"]), "    " * depth)
