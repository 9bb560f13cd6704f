"""Snapshots in files: what is written is read, and nothing else is."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

import wasmine
from wasmine import Runtime, Snapshot, SnapshotError
from wasmine.runtime.cache import digest

TEXT = """(module
  (import "h" "f" (func $f (result i32))) (type $t (func (result i32)))
  (memory (export "memory") 2 8) (table (export "table") 4 9 funcref) (table $typed 1 (ref $t) (ref.func $g))
  (global $n (export "n") (mut i32) (i32.const 5)) (global $next (export "next") (mut funcref) (ref.func $f))
  (global $x (mut externref) (ref.null extern)) (data $words "abcd") (elem $both func $f $g) (elem (i32.const 1) $g $f)
  (func $g (export "g") (result i32) (global.get $n))
  (func (export "set") (param i32) (global.set $n (local.get 0)))
  (func (export "call") (param i32) (result i32) (call_indirect (type $t) (local.get 0)))
  (func (export "typed") (result i32) (call_ref $t (table.get $typed (i32.const 0))))
  (func (export "hold") (param externref) (global.set $x (local.get 0)))
  (func (export "forget") (data.drop $words) (elem.drop $both) (drop (memory.grow (i32.const 1))))
  (func (export "words") (memory.init $words (i32.const 0) (i32.const 0) (i32.const 1))))"""
MAGIC = b"wasmine snapshot 1\n"


@pytest.fixture
def source(runtime: Runtime) -> wasmine.Instance:
    made = runtime.instantiate(TEXT, {"h": {"f": lambda: 70}})
    made.exports.set(8)
    made.exports.memory[65_540] = 9
    return made


@pytest.fixture
def path(source: wasmine.Instance, tmp_path: Path) -> Path:
    found = tmp_path / "state"
    source.snapshot().save(found)
    return found


def test_a_file_gives_the_same_state(source: wasmine.Instance, path: Path, runtime: Runtime) -> None:
    snapshot = Snapshot.load(path, wasmine.Module(TEXT))
    assert repr(snapshot) == "<snapshot of anonymous, 131072 bytes>"
    copy = runtime.instantiate(snapshot, {"h": {"f": lambda: 71}}).exports
    assert (copy.g(), copy.memory[65_540], copy.memory.size) == (8, 9, 2)
    assert (copy.call(1), copy.call(2), copy.typed(), copy.next.value()) == (8, 71, 8, 71)
    assert copy.table[0] is None
    assert copy.table[1] is copy.g
    copy.words()
    assert copy.memory[0] == ord("a")


def test_what_was_dropped_and_grown_is_in_the_file(source: wasmine.Instance, path: Path, runtime: Runtime) -> None:
    source.exports.forget()
    source.snapshot().save(path)
    copy = runtime.instantiate(Snapshot.load(path, source.module), {"h": {"f": lambda: 0}}).exports
    assert copy.memory.size == 3
    with pytest.raises(wasmine.Trap):
        copy.words()


def test_one_engine_reads_what_another_has_written(path: Path, runtime: Runtime) -> None:
    for engine in ("interpreter", "auto"):
        copy = Runtime(engine).instantiate(Snapshot.load(path, wasmine.Module(TEXT)), {"h": {"f": lambda: 71}})
        assert (copy.exports.g(), copy.exports.call(2)) == (8, 71)


def test_zeros_take_no_room(runtime: Runtime, tmp_path: Path) -> None:
    runtime.instantiate("(module (memory 1000))").snapshot().save(tmp_path / "state")
    assert (tmp_path / "state").stat().st_size < 1000


def test_a_loaded_snapshot_has_no_imports_of_its_own(path: Path, runtime: Runtime) -> None:
    snapshot = Snapshot.load(path, wasmine.Module(TEXT))
    with pytest.raises(SnapshotError, match=r"use runtime\.instantiate\(snapshot\)"):
        snapshot.clone()
    with pytest.raises(wasmine.LinkError, match=r"h\.f: missing"):
        runtime.instantiate(snapshot)


def test_what_cannot_be_written_is_refused(source: wasmine.Instance, path: Path, runtime: Runtime) -> None:
    before = path.read_bytes()
    source.exports.hold(["an object"])
    with pytest.raises(SnapshotError, match="a reference to an object cannot be written"):
        source.snapshot().save(path)
    source.exports.hold(None)
    source.exports.table[0] = runtime.function(lambda: None, wasmine.FuncType((), ()))
    with pytest.raises(SnapshotError, match="no function of the module"):
        source.snapshot().save(path)
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["state"]


def test_the_snapshot_of_another_module_is_refused(path: Path) -> None:
    with pytest.raises(SnapshotError, match="state: a snapshot of another module"):
        Snapshot.load(path, wasmine.Module(TEXT.replace("i32.const 5", "i32.const 6")))


@pytest.mark.parametrize("data", [b"", b"x" * 100, MAGIC, MAGIC + bytes(31), b"wasmine snapshot 2\n" + bytes(100)])
def test_what_is_no_snapshot_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(SnapshotError, match=r"not a snapshot|damaged"):
        Snapshot.load(tmp_path / "state", wasmine.Module(TEXT))


def test_damage_is_detected(path: Path) -> None:
    module, whole = wasmine.Module(TEXT), path.read_bytes()
    chance = random.Random(1)
    for _ in range(200):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data if chance.random() < 0.7 else whole[: chance.randrange(len(whole))])
        with pytest.raises(SnapshotError):
            Snapshot.load(path, module)


def sealed(body: bytes) -> bytes:
    return MAGIC + digest(body) + body


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    body = data[len(MAGIC) + 32 :]
    size = int.from_bytes(body[:8], "little")
    return json.loads(body[8 : 8 + size]), body[8 + size :]


def forged(header: Any, pieces: bytes) -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return sealed(len(head).to_bytes(8, "little") + head + pieces)


WRONG: dict[str, Any] = {
    "memories": [
        None, [], [[131072]], [[65536, []]], [[131073, []]], [[9 << 16, []]], [[1 << 60, []]], [[True, []]], [[-65536, []]],
        [[131072.0, [65536]]], [[131072, None]], [[131072, [1]]], [[131072, [131072]]], [[131072, [65536, 65536]]],
        [[131072, [0, 65536]]], [[131072, []]], [[131072, ["0"]]],
    ],
    "tables": [
        None, [], [[None] * 3, [1]], [[None] * 10, [1]], [[0, 1, 2, 99], [1]], [[0, 1, 2, -1], [1]], [[0, 1, 2, True], [1]],
        [[0, 1, 2, "1"], [1]], [[0, 1, 2, 1.0], [1]], [[None] * 4, [None]], [[None] * 4, [2]], [[None] * 4, []],
        [[None] * 4, [[1]]],
    ],
    "globals": [
        None, [], [5, None], [5, None, 1], [5, 99, None], [1 << 32, None, None], [-1, None, None], [None, None, None],
        [5.0, None, None], ["5", None, None], [5, True, None], [[5], None, None],
    ],
    "elements": [None, [], [True], [0, 1], [True, False, True], "ab"],
    "data": [None, [1], [None], [True, True]],
    "module": [None, "", 5, "00" * 32],
}  # fmt: skip


@pytest.mark.parametrize("field", WRONG)
def test_every_value_is_checked(field: str, path: Path) -> None:
    module = wasmine.Module(TEXT)
    header, pieces = parts(path.read_bytes())
    path.write_bytes(forged(header, pieces))
    Snapshot.load(path, module)
    for value in WRONG[field]:
        path.write_bytes(forged({**header, field: value}, pieces))
        with pytest.raises(SnapshotError):
            Snapshot.load(path, module)
    path.write_bytes(forged({key: value for key, value in header.items() if key != field}, pieces))
    with pytest.raises(SnapshotError):
        Snapshot.load(path, module)


@pytest.mark.parametrize(
    "header",
    [b"", b"[]", b"5", b"{", b"\xff", b"[" * 100_000, b"9" * 10_000, b'{"memories": NaN}', b'{"module": 1e999}'],
)
def test_headers_that_are_none(header: bytes, path: Path) -> None:
    path.write_bytes(forged(header, b""))
    with pytest.raises(SnapshotError):
        Snapshot.load(path, wasmine.Module(TEXT))


@pytest.mark.parametrize("size", [0, 1, 1 << 40, (1 << 64) - 1])
def test_headers_that_are_longer_than_the_file(size: int, path: Path) -> None:
    path.write_bytes(sealed(size.to_bytes(8, "little") + b"{}"))
    with pytest.raises(SnapshotError):
        Snapshot.load(path, wasmine.Module(TEXT))


def test_a_file_with_more_in_it_than_it_says_is_refused(path: Path) -> None:
    header, pieces = parts(path.read_bytes())
    path.write_bytes(forged(header, pieces + b"x"))
    with pytest.raises(SnapshotError, match="more in it than its header says"):
        Snapshot.load(path, wasmine.Module(TEXT))


def test_a_memory_is_not_larger_than_its_addresses_reach(runtime: Runtime, tmp_path: Path) -> None:
    module, path = wasmine.Module("(module (memory 1))"), tmp_path / "state"
    runtime.instantiate(module).snapshot().save(path)
    header, pieces = parts(path.read_bytes())
    for size in ((1 << 32) + 65536, (8 << 30) + (2 << 16), 1 << 40):
        path.write_bytes(forged({**header, "memories": [[size, []]]}, pieces))
        with pytest.raises(SnapshotError, match=f"a memory of {size} bytes does not fit"):
            Snapshot.load(path, module)


def test_a_path_may_be_bytes(source: wasmine.Instance, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "state")
    source.snapshot().save(path)  # type: ignore[arg-type]
    assert Snapshot.load(path, source.module).module is source.module  # type: ignore[arg-type]
