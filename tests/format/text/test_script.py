"""Scripts become commands, and the official suite's are all read."""

from __future__ import annotations

import os
import struct
from collections import Counter
from pathlib import Path

import pytest

from wasmine.errors import DecodeError
from wasmine.format.module import ModuleSyntax
from wasmine.format.text import parse_module, parse_script
from wasmine.format.text.script import (
    AnyReference,
    AssertException,
    AssertExhaustion,
    AssertInvalid,
    AssertMalformed,
    AssertReturn,
    AssertTrap,
    AssertUninstantiable,
    AssertUnlinkable,
    BinaryModule,
    Command,
    Definition,
    Either,
    Get,
    Host,
    Instance,
    Invoke,
    Module,
    Nan,
    Null,
    Number,
    QuotedModule,
    Register,
    TextModule,
    Thread,
    Vector,
    Wait,
)
from wasmine.format.types import F32, F64, I32, I64, V128, Heap
from wasmine.format.writer import write

ONE = 0x3F800000  # 1.0 as an f32


def command(text: str) -> Command:
    (only,) = parse_script(text)
    return only


# ---- modules


def test_a_module_in_a_script_is_parsed_when_it_is_asked_for() -> None:
    first, second = parse_script('(module $a (func $f)) (module (fun (")") ) (;;))')

    assert isinstance(first, Module)
    assert isinstance(first.module, TextModule)
    assert first.module.id == "a"
    assert first.module.parse() == parse_module("(module $a (func $f))")
    assert first.module.parse() == first.module.parse()
    assert isinstance(second, Module)
    with pytest.raises(DecodeError, match="unknown operator fun") as caught:
        second.module.parse()
    assert (caught.value.line, caught.value.column) == (1, 32)


def test_the_other_forms_of_modules() -> None:
    binary, quoted = parse_script(
        r"""
        (module binary "\00asm" "\01\00\00\00")
        (module $q quote "(func" " $f)")
        """
    )

    assert isinstance(binary, Module)
    assert binary.module == BinaryModule(None, 2, b"\0asm\1\0\0\0")
    assert binary.module.parse() == ModuleSyntax()
    assert isinstance(quoted, Module)
    assert quoted.module == QuotedModule("q", 3, b"(func $f)")
    assert quoted.module.parse() == parse_module("(func $f)")


def test_a_quoted_module_may_be_anything() -> None:
    quoted, invalid = parse_script(r'(module quote "(\ff)") (module quote "(func\0a(")')

    assert isinstance(quoted, Module)
    with pytest.raises(DecodeError, match="malformed UTF-8 encoding"):
        quoted.module.parse()
    assert isinstance(invalid, Module)
    with pytest.raises(DecodeError) as caught:
        invalid.module.parse()
    assert (caught.value.line, caught.value.column) == (2, 2)


def test_definitions_and_instances() -> None:
    commands = list(
        parse_script(
            """
            (module definition $M (func))
            (module definition binary "")
            (module instance $I $M)
            (module instance)
            """
        )
    )

    assert isinstance(commands[0], Definition)
    assert commands[0].module.id == "M"
    assert len(commands[0].module.parse().functions) == 1
    assert isinstance(commands[1], Definition)
    assert isinstance(commands[1].module, BinaryModule)
    assert commands[2:] == [Instance(4, "I", "M"), Instance(5, None, None)]


@pytest.mark.parametrize("text", ["(func $f) (memory 1)", '(import "a" "b" (func)) (func)', "(rec) (type (func))"])
def test_a_script_may_be_the_fields_of_one_module(text: str) -> None:
    only = command(f"\n{text}")

    assert isinstance(only, Module)
    assert only.line == 2
    assert only.module.parse() == parse_module(text)


def test_annotations_belong_to_their_module() -> None:
    first, second = parse_script('(module (@custom "a")) (@x) (module (func (@name "f")) (@custom "b"))')

    assert isinstance(first, Module)
    assert isinstance(second, Module)
    assert [custom.name for custom in first.module.parse().customs] == ["a"]
    assert [custom.name for custom in second.module.parse().customs] == ["b", "name"]


# ---- commands


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('(register "m")', Register(1, "m", None)),
        ('(register "m" $i)', Register(1, "m", "i")),
        ('(invoke "f")', Invoke(1, None, "f", ())),
        ('(invoke $i "f" (i32.const 1))', Invoke(1, "i", "f", (Number(I32, 1),))),
        ('(get "g")', Get(1, None, "g")),
        ('(get $i "g")', Get(1, "i", "g")),
        ('(assert_return (invoke "f"))', AssertReturn(1, Invoke(1, None, "f", ()), ())),
        ('(assert_return\n (get "g")\n (i64.const 1))', AssertReturn(1, Get(2, None, "g"), (Number(I64, 1),))),
        ('(assert_trap (invoke "f") "out of bounds")', AssertTrap(1, Invoke(1, None, "f", ()), "out of bounds")),
        ('(assert_exhaustion (invoke "f") "stack")', AssertExhaustion(1, Invoke(1, None, "f", ()), "stack")),
        ('(assert_exception (invoke "f"))', AssertException(1, Invoke(1, None, "f", ()))),
        ("(wait $t)", Wait(1, "t")),
    ],
)
def test_commands(text: str, expected: Command) -> None:
    assert command(text) == expected


@pytest.mark.parametrize(
    ("keyword", "kind", "custom"),
    [
        ("assert_malformed", AssertMalformed, False),
        ("assert_malformed_custom", AssertMalformed, True),
        ("assert_invalid", AssertInvalid, False),
        ("assert_invalid_custom", AssertInvalid, True),
        ("assert_unlinkable", AssertUnlinkable, None),
        ("assert_uninstantiable", AssertUninstantiable, None),
        ("assert_trap", AssertUninstantiable, None),
    ],
)
@pytest.mark.parametrize("module", ["(module $m (func))", '(module $m quote "(func)")', '(module $m binary "")'])
def test_assertions_about_modules(keyword: str, kind: type, custom: bool | None, module: str) -> None:
    only = command(f'({keyword}\n{module} "why")')

    assert type(only) is kind
    assert isinstance(only, AssertMalformed | AssertInvalid | AssertUnlinkable | AssertUninstantiable)
    assert (only.line, only.module.id, only.module.line, only.message) == (1, "m", 2, "why")
    assert getattr(only, "custom", None) is custom


def test_threads() -> None:
    thread, wait = parse_script(
        """
        (thread $t (shared (module $m)) (shared (module $n))
          (register "mem" $m)
          (assert_return (invoke "f")))
        (wait $t)
        """
    )

    assert thread == Thread(
        2, "t", ("m", "n"), (Register(3, "mem", "m"), AssertReturn(4, Invoke(4, None, "f", ()), ()))
    )
    assert wait == Wait(5, "t")


def test_every_command_knows_its_line() -> None:
    text = '(module)\n\n(invoke "a") (invoke "b")\r\n;; comment\n(;\n;)(invoke\n"c")'

    assert [only.line for only in parse_script(text)] == [1, 3, 3, 6]


# ---- values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(i32.const -1)", Number(I32, 0xFFFFFFFF)),
        ("(i64.const -1)", Number(I64, 0xFFFFFFFFFFFFFFFF)),
        ("(f32.const 1)", Number(F32, ONE)),
        ("(f64.const -nan:0x4_0000)", Number(F64, 0xFFF0000000040000)),
        ("(ref.null func)", Null(Heap.FUNC)),
        ("(ref.null 0)", Null()),
        ("(ref.null)", Null()),
        ("(ref.extern 7)", Host(7)),
        ("(ref.host 7)", Host(7, internal=True)),
    ],
)
def test_values_that_are_arguments_and_results(text: str, value: Number | Null | Host) -> None:
    assert command(f'(invoke "f" {text} (i32.const 2))') == Invoke(1, None, "f", (value, Number(I32, 2)))
    assert command(f'(assert_return (invoke "f") {text})') == AssertReturn(1, Invoke(1, None, "f", ()), (value,))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 -1", bytes(range(15)) + b"\xff"),
        ("i32x4 1 2 3 -1", struct.pack("<4i", 1, 2, 3, -1)),
        ("f64x2 1 -2", struct.pack("<2d", 1, -2)),
    ],
)
def test_a_vector_is_a_number_as_an_argument(text: str, data: bytes) -> None:
    invoke = command(f'(invoke "f" (v128.const {text}))')

    assert invoke == Invoke(1, None, "f", (Number(V128, int.from_bytes(data, "little")),))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("(f32.const nan:canonical)", Nan(F32, True)),
        ("(f64.const nan:arithmetic)", Nan(F64, False)),
        ("(f32.const nan)", Number(F32, 0x7FC00000)),
        ("(v128.const i16x8 0 1 2 3 4 5 6 -1)", Vector(16, (0, 1, 2, 3, 4, 5, 6, 0xFFFF))),
        (
            "(v128.const f32x4 nan:canonical 1 -0 nan:arithmetic)",
            Vector(32, (Nan(F32, True), ONE, 0x80000000, Nan(F32, False))),
        ),
        ("(v128.const f64x2 nan:arithmetic 0)", Vector(64, (Nan(F64, False), 0))),
        ("(ref.func)", AnyReference(Heap.FUNC)),
        ("(ref.func $f)", AnyReference(Heap.FUNC)),
        ("(ref.extern)", AnyReference(Heap.EXTERN)),
        ("(ref.struct)", AnyReference(Heap.STRUCT)),
        ("(ref.array)", AnyReference(Heap.ARRAY)),
        ("(ref.i31)", AnyReference(Heap.I31)),
        ("(ref.eq)", AnyReference(Heap.EQ)),
        ("(ref.any)", AnyReference(Heap.ANY)),
        ("(ref.exn)", AnyReference(Heap.EXN)),
        (
            "(either (i32.const 1) (f32.const nan:canonical))",
            Either((Number(I32, 1), Nan(F32, True))),
        ),
    ],
)
def test_expected_results(text: str, result: object) -> None:
    asserted = command(f'(assert_return (invoke "f") {text} (i32.const 0))')

    assert isinstance(asserted, AssertReturn)
    assert asserted.results == (result, Number(I32, 0))


# ---- errors


@pytest.mark.parametrize(
    ("text", "reason", "line", "column"),
    [
        ("module", "unexpected token module: expected a command", 1, 1),
        ("(foo)", "unknown operator foo: expected a command", 1, 2),
        ("(module) (func)", "unexpected token func: expected a command", 1, 11),
        ("(module", "unexpected token: expected )", 1, 8),
        ("(invoke f)", "unknown operator f: expected a name", 1, 9),
        ('(invoke "f"\n(i32.const))', "unexpected token ): expected a number", 2, 11),
        ('(invoke "f" (i32.const 0x1_0000_0000))', "constant out of range", 1, 24),
        ('(invoke "f" (f32.const nan:canonical))', "unexpected token nan:canonical: expected a number", 1, 24),
        ('(invoke "f" (v128.const f32x4 nan:canonical 0 0 0))', "unexpected token nan:canonical", 1, 31),
        ('(invoke "f" (ref.func))', "unexpected token ref.func: expected an argument", 1, 14),
        ('(invoke "f" 1)', "unexpected token 1: expected )", 1, 13),
        ('(assert_return (invoke "f") (i32.const nan:canonical))', "unexpected token nan:canonical", 1, 40),
        ('(assert_return (invoke "f") (v128.const i32x4 0 0 0))', "unexpected token ): expected a number", 1, 52),
        ('(assert_return (invoke "f") (v128.const 0))', "unexpected token 0: expected a shape", 1, 41),
        ('(assert_return (invoke "f") (ref.null foo))', "unknown operator foo: expected a heap type", 1, 39),
        ('(assert_return (invoke "f") (either (either)))', "unexpected token either: expected a result", 1, 38),
        ('(assert_return (module) "a")', "unexpected token module: expected (get", 1, 17),
        ("(assert_trap (module))", "unexpected token ): expected a name", 1, 22),
        ("(assert_invalid (invoke))", "unexpected token invoke: expected (module", 1, 18),
        ("(thread)", "unexpected token ): expected an identifier", 1, 8),
        ("(thread $t (thread $u))", "unexpected token thread: expected a command", 1, 13),
        ("(thread $t (shared (module)))", "unexpected token ): expected an identifier", 1, 27),
        ('(module quote "a" b)', "unknown operator b: expected )", 1, 19),
        ("(module) (; ", "unclosed comment", 1, 10),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(text: str, reason: str, line: int, column: int) -> None:
    with pytest.raises(DecodeError) as caught:
        list(parse_script(text))

    assert caught.value.reason.startswith(reason)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_the_commands_before_a_malformed_one_come_first() -> None:
    commands = parse_script('(invoke "f") (foo)')

    assert next(commands) == Invoke(1, None, "f", ())
    with pytest.raises(DecodeError):
        next(commands)


def test_an_empty_script_has_no_commands() -> None:
    assert list(parse_script(" ;; nothing\n")) == []


# ---- the official suite

PROJECT = Path(__file__).parents[3]
SUITE = Path(os.environ.get("WASMINE_SPECTEST") or PROJECT.parent / "shared" / "spectest")
SCRIPTS = sorted(SUITE.rglob("*.wast"))

# Assertions of an old version about sizes that are well-formed since 3.0, and left to validation: (file, line).
VOID = {("proposals/threads/memory.wast", line) for line in (84, 88, 92)}


@pytest.mark.skipif(
    not SCRIPTS,
    reason="the official suite is not here: put the .wast files of github.com/WebAssembly/testsuite into "
    "../shared/spectest, or name their folder in WASMINE_SPECTEST",
)
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(SUITE).as_posix())
def test_the_modules_of_the_official_suite_are_read_or_refused_as_it_says(path: Path) -> None:
    name = path.relative_to(SUITE).as_posix()
    counts = Counter[str]()
    for only in parse_script(path.read_bytes().decode()):
        counts["commands"] += 1
        module = getattr(only, "module", None)
        if module is None or isinstance(module, BinaryModule) or (name, module.line) in VOID:
            continue
        counts["modules"] += 1
        if isinstance(only, AssertMalformed) or (isinstance(only, AssertInvalid) and only.custom):
            with pytest.raises(DecodeError) as caught:
                module.parse()
            assert caught.value.reason.startswith(only.message), f"line {only.line}"
        else:
            assert write(module.parse()).startswith(b"\0asm")
    assert counts["commands"] > 0
