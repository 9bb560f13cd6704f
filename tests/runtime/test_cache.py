"""Code that one process made is found by the next, and nothing wrong is ever taken from a cache directory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import wasmine
from wasmine.runtime.cache import Cache

PROGRAM = """
(module $program
  (type $pair (struct (field i32) (field i32)))
  (tag $oops (param i32))
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 0) $square $fail)
  (global $count (mut i32) (i32.const 0))
  (func $square (export "square") (param i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.mul (local.get 0) (local.get 0)))
  (func $fail (export "fail") (result i32) (i32.load (i32.const 65536)))
  (func (export "nan") (result f64) (f64.const nan:0x123))
  (func (export "lanes") (param i32) (result i32)
    (i32x4.extract_lane 3 (i32x4.add (i32x4.splat (local.get 0)) (v128.const i32x4 1 2 3 4))))
  (func (export "caught") (param i32) (result i32)
    (block $caught (result i32)
      (try_table (catch $oops $caught) (throw $oops (local.get 0)))
      (i32.const -1)))
  (func (export "tail") (param i32) (result i32) (return_call $square (local.get 0)))
  (func (export "pointer") (param i32 i32) (result i32)
    (call_indirect (param i32) (result i32) (local.get 0) (local.get 1))))
"""
PROGRAM = PROGRAM.replace("  (type $pair (struct (field i32) (field i32)))\n", "")

CASTS = """
(module
  (type $a (sub (struct (field i32))))
  (type $b (sub $a (struct (field i32) (field i32))))
  (func (export "is_i31") (result i32) (ref.test (ref i31) (ref.i31 (i32.const 1))))
  (func (export "is_b") (result i32) (ref.test (ref $b) (struct.new $a (i32.const 1))))
  (func (export "is_a") (result i32) (ref.test (ref null $a) (struct.new $b (i32.const 1) (i32.const 2)))))
"""


def use(exports: wasmine.Exports) -> list[object]:
    """Call everything; what it gave."""
    found: list[object] = [
        exports.square(-7),
        exports.lanes(10),
        exports.caught(5),
        exports.tail(9),
        repr(exports.nan()),
    ]
    found.append(exports.pointer(6, 0))
    for call in (exports.fail, lambda: exports.pointer(6, 1), lambda: exports.pointer(6, 2)):
        with pytest.raises(wasmine.Trap) as caught:
            call()
        found.append((str(caught.value), caught.value.frames))
    return found


def run(engine: str, directory: Path | Cache | None, source: str = PROGRAM) -> list[object]:
    with wasmine.Runtime(engine, cache=directory) as runtime:
        return use(runtime.instantiate(source).exports)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The functions that an engine had to make code for."""
    import wasmine.compiler.module as compiler
    from wasmine.interpreter.lowering import Lowering

    found: list[int] = []
    lower, compile_function = Lowering.lower, compiler.compile_function

    def counted_lower(self: Lowering, index: int, annotated: bool = False) -> object:
        if not annotated:  # which is for tracebacks
            found.append(index)
        return lower(self, index, annotated)

    def counted_compile(context: object, layout: object, index: int, *rest: object) -> object:
        found.append(index)
        return compile_function(context, layout, index, *rest)

    monkeypatch.setattr(Lowering, "lower", counted_lower)
    monkeypatch.setattr(compiler, "compile_function", counted_compile)
    return found


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*/*.wasmine"))


def test_what_was_made_once_is_not_made_again(engine: str, tmp_path: Path, made: list[int]) -> None:
    plain = run(engine, None)
    assert run(engine, tmp_path) == plain
    made.clear()
    assert run(engine, tmp_path) == plain
    assert made == []


def test_only_what_is_called_is_kept_and_more_is_added(engine: str, tmp_path: Path, made: list[int]) -> None:
    for name in ("square", "caught", "square"):
        with wasmine.Runtime(engine, cache=tmp_path) as runtime:
            assert runtime.instantiate(PROGRAM).exports[name](3) in (9, 3)
    assert len(made) == 2


def test_types_of_casts_are_found_again_in_any_order(tmp_path: Path, made: list[int]) -> None:
    for names in (("is_b", "is_a"), ("is_i31", "is_b", "is_a")):
        with wasmine.Runtime("interpreter", cache=tmp_path) as runtime:
            exports = runtime.instantiate(CASTS).exports
            assert [exports[name]() for name in names] == [name != "is_b" for name in names]
    assert len(made) == 3


def test_metered_code_is_kept_apart(engine: str, tmp_path: Path) -> None:
    limits = wasmine.Limits(fuel=1000)
    left = set()
    for given in (None, limits, None, limits):
        with wasmine.Runtime(engine, cache=tmp_path, limits=given) as runtime:
            instance = runtime.instantiate(PROGRAM)
            assert instance.exports.square(2) == 4
            left.add(instance.fuel)
    assert len(left) == 2
    assert None in left


def test_bounds_are_kept_apart(compiler: str, tmp_path: Path) -> None:
    for bounds in ("guard", "checked", "guard", "checked"):
        with wasmine.Runtime("compiler", cache=tmp_path, bounds=bounds) as runtime:
            with pytest.raises(wasmine.Trap) as caught:
                runtime.instantiate(PROGRAM).exports.fail()
            assert caught.value.kind is wasmine.TrapKind.MEMORY_OUT_OF_BOUNDS
    assert len(files(tmp_path)) == 3  # and one that says that the module is valid


def test_another_module_finds_nothing(engine: str, tmp_path: Path, made: list[int]) -> None:
    run(engine, tmp_path)
    with wasmine.Runtime(engine, cache=tmp_path) as runtime:
        changed = PROGRAM.replace("(i32.mul (local.get 0) (local.get 0))", "(i32.add (local.get 0) (local.get 0))")
        assert runtime.instantiate(changed).exports.square(5) == 10


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-1],
    "cut off in the head": lambda data: data[:20],
    "longer": lambda data: data + b"x",
    "another kind of file": lambda data: b"\x7fELF" + data,
    "a bit of the code": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "a bit of the checksum": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_ignored_and_written_anew(engine: str, tmp_path: Path, made: list[int], damage: str) -> None:
    plain = run(engine, tmp_path)
    originals = [path.read_bytes() for path in files(tmp_path)]
    for path, data in zip(files(tmp_path), originals, strict=True):
        path.write_bytes(DAMAGES[damage](data))
    made.clear()
    assert run(engine, tmp_path) == plain
    assert made
    made.clear()
    assert run(engine, tmp_path) == plain
    assert made == []


def test_a_file_under_the_name_of_another_is_ignored(engine: str, tmp_path: Path, made: list[int]) -> None:
    run(engine, tmp_path)
    other = PROGRAM.replace("i32.mul", "i32.add")
    with wasmine.Runtime(engine, cache=tmp_path) as runtime:
        runtime.instantiate(other).exports.square(1)
    contents = [path.read_bytes() for path in files(tmp_path)]
    for path, data in zip(files(tmp_path), contents[1:] + contents[:1], strict=True):
        path.write_bytes(data)
    with wasmine.Runtime(engine, cache=tmp_path) as runtime:
        assert runtime.instantiate(other).exports.square(3) == 6
        assert runtime.instantiate(PROGRAM).exports.square(3) == 9


def test_a_directory_that_cannot_be_written_is_said_once(engine: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where = tmp_path / "file" / engine
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        plain = run(engine, where)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(engine, where) == plain


def test_what_was_not_used_for_long_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=5000)
    for number in range(4):
        stored = cache.stored(bytes([number]) * 32, "code")
        stored.put(0, bytes(2000))
        cache.save()
        for age, path in enumerate(sorted(files(tmp_path), key=lambda path: path.stat().st_mtime_ns, reverse=True)):
            os.utime(path, (1000 - age, 1000 - age))
    assert len(files(tmp_path)) == 2
    fresh = Cache(tmp_path)
    assert [fresh.stored(bytes([number]) * 32, "code").get(0) is not None for number in range(4)] == [0, 0, 1, 1]


def test_two_users_of_a_file_keep_both_their_pieces(tmp_path: Path) -> None:
    one, other = Cache(tmp_path), Cache(tmp_path)
    one.stored(bytes(32), "code").put(1, b"one")
    other.stored(bytes(32), "code").put(2, b"two")
    one.save()
    other.save()
    found = Cache(tmp_path).stored(bytes(32), "code")
    assert (found.get(1), found.get(2), found.get(3)) == (b"one", b"two", None)
    assert [path.suffix for path in files(tmp_path)[0].parent.iterdir()] == [".wasmine"]


def test_many_threads_write_and_every_reader_sees_a_whole_file(tmp_path: Path) -> None:
    title = bytes(32)
    bad: list[object] = []

    def work(number: int) -> None:
        for turn in range(30):
            cache = Cache(tmp_path)
            stored = cache.stored(title, "code")
            stored.put(number, b"%d" % turn * 1000)
            cache.save()
            again = Cache(tmp_path).stored(title, "code").get(number)
            if again is not None and len(set(again)) > 2:
                bad.append(again)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []
    assert len(files(tmp_path)) == 1


def test_processes_that_start_together_share_a_directory(engine: str, tmp_path: Path) -> None:
    program = f"""
        import wasmine
        with wasmine.Runtime({engine!r}, cache={str(tmp_path)!r}) as runtime:
            exports = runtime.instantiate({PROGRAM!r}).exports
            assert [exports.square(3), exports.lanes(1), exports.caught(2), exports.tail(4)] == [9, 5, 2, 16]
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    for _ in range(2):
        processes = [subprocess.Popen(command) for _ in range(4)]
        assert [process.wait(timeout=120) for process in processes] == [0, 0, 0, 0]
    assert all(path.suffix == ".wasmine" for path in tmp_path.glob("*/*"))


def test_a_runtime_that_nobody_closed_is_kept_at_the_end_of_the_process(engine: str, tmp_path: Path) -> None:
    program = f"""
        import wasmine
        wasmine.Runtime({engine!r}, cache={str(tmp_path)!r}).instantiate({PROGRAM!r}).exports.square(3)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
    assert len(files(tmp_path)) == 2
    assert (tmp_path / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_a_known_module_is_not_validated_again_but_an_unknown_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wasmine.validation.module as validation

    walked: list[int] = []
    walk = validation.walk_function
    monkeypatch.setattr(
        validation, "walk_function", lambda context, index: (walked.append(index), walk(context, index))
    )
    binary = wasmine.Module(PROGRAM).to_bytes()
    walked.clear()
    cache = Cache(tmp_path)
    for source in (PROGRAM, binary):
        wasmine.Module(source, cache=cache)
        assert walked
        walked.clear()
        wasmine.Module(source, cache=cache)
        assert not walked
    without = wasmine.Features(simd=False)
    for _ in range(2):
        with pytest.raises(wasmine.UnsupportedFeature):
            wasmine.Module(binary, features=without, cache=cache)
    wrong = "(module (func (result i32) (i64.const 1)))"
    for _ in range(2):
        with pytest.raises(wasmine.ValidationError):
            wasmine.Module(wrong, cache=cache)


def test_a_digest_is_of_the_content_and_of_where_it_stood(tmp_path: Path) -> None:
    binary = wasmine.Module(PROGRAM).to_bytes()
    assert wasmine.Module(binary).digest == wasmine.Module(bytearray(binary)).digest
    padded = binary[:8] + b"\0\x02\x01x" + binary[8:]  # a custom section in front: bodies lie elsewhere
    digests = {wasmine.Module(source).digest for source in (binary, padded)}
    digests |= {wasmine.Module(source, cache=tmp_path).digest for source in (binary, padded)}
    assert len(digests) == 4


def test_a_whole_module_is_compiled_ahead(engine: str, tmp_path: Path, made: list[int]) -> None:
    told: list[tuple[int, int]] = []
    with wasmine.Runtime(engine, cache=tmp_path) as runtime:
        module = runtime.compile(PROGRAM, progress=lambda done, of: told.append((done, of)))
        use(runtime.instantiate(module).exports)
    assert made == list(range(7))
    assert told == [(number, 7) for number in range(7)]
    made.clear()
    run(engine, tmp_path)
    assert made == []


def test_a_program_is_run_from_a_cache(engine: str, tmp_path: Path, made: list[int]) -> None:
    hello = Path(__file__).parents[2] / "examples/hello.wat"
    for _ in range(2):
        made.clear()
        assert wasmine.run(hello, ["you"], capture_output=True, engine=engine, cache=tmp_path).stdout
    assert made == []


def test_facts_of_a_module_are_found_out_once(tmp_path: Path) -> None:
    asked: list[bool] = []

    def find(answer: bool) -> bool:
        asked.append(answer)
        return answer

    for answer in (True, False):
        for _ in range(2):
            cache = Cache(tmp_path)
            module = wasmine.Module(PROGRAM, cache=cache)
            for _ in range(2):
                assert module.fact(f"it is {answer}", lambda context, answer=answer: find(answer)) == answer
            cache.save()
    assert asked == [True, False]
    assert wasmine.Module(PROGRAM).fact("it is True", lambda context: False) is False
