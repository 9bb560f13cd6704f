"""Loads and stores against plain bytes: every width, every alignment, every edge; growing, copying, filling."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wasmine
from wasmine import Trap, TrapKind
from wasmine.format.instructions import INSTRUCTIONS
from wasmine.interpreter import storage

PAGE = 65536
ACCESSES = {
    instruction.name: 1 << instruction.alignment
    for instruction in INSTRUCTIONS
    if instruction.alignment >= 0 and not instruction.feature
}
LOADS = [name for name in ACCESSES if "load" in name]
STORES = [name for name in ACCESSES if "store" in name]


def _function(name: str, offset: int) -> str:
    type = name[:3]
    if "load" in name:
        signature = f"(param i32) (result {type})"
        body = f"({name} offset={offset} (local.get 0))"
    else:
        signature = f"(param i32 {type})"
        body = f"({name} offset={offset} (local.get 0) (local.get 1))"
    return f'(func (export "{name}+{offset}") {signature} {body})'


OFFSETS = (0, 3, 65528, 0xFFFF_FFFF)
MODULE = f"""(module (memory (export "memory") 1)
  {" ".join(_function(name, offset) for name in ACCESSES for offset in OFFSETS)})"""


@pytest.fixture(scope="module")
def exports() -> Iterator[wasmine.Exports]:
    with wasmine.Runtime("interpreter") as runtime:
        yield runtime.instantiate(MODULE).exports


def loaded(name: str, data: bytes) -> int | float:
    """What the bytes mean to a load."""
    if name[0] == "f":
        number: float = struct.unpack("<f" if name.startswith("f32") else "<d", data)[0]
        return number
    return int.from_bytes(data, "little", signed=name.endswith("_s") or name in ("i32.load", "i64.load"))


def stored(name: str, value: int) -> bytes:
    """The bytes that a store writes of an integer."""
    size = ACCESSES[name]
    return (value & (1 << 8 * size) - 1).to_bytes(size, "little")


addresses = st.integers(0, PAGE + 20) | st.sampled_from(
    [0, 1, PAGE - 8, PAGE - 4, PAGE - 1, PAGE, 0xFFFF_FFFF, 0xFFFF_FFF8]
)


@pytest.mark.parametrize("name", LOADS)
@given(address=addresses, offset=st.sampled_from(OFFSETS), seed=st.binary(min_size=8, max_size=8))
def test_loads(exports: wasmine.Exports, name: str, address: int, offset: int, seed: bytes) -> None:
    start, size = address + offset, ACCESSES[name]
    load = exports[f"{name}+{offset}"]
    if start + size > PAGE:
        with pytest.raises(Trap) as caught:
            load(address)
        assert caught.value.kind is TrapKind.MEMORY_OUT_OF_BOUNDS
        return
    exports.memory[start : start + size] = seed[:size]
    expected = loaded(name, seed[:size])
    found = load(address)
    assert found == expected or (found != found and expected != expected)


@pytest.mark.parametrize("name", [name for name in STORES if name[0] == "i"])
@given(address=addresses, offset=st.sampled_from(OFFSETS), value=st.integers(0, 2**64 - 1))
def test_stores_write_all_or_nothing(
    exports: wasmine.Exports, name: str, address: int, offset: int, value: int
) -> None:
    memory = exports.memory
    start, size = address + offset, ACCESSES[name]
    value &= 0xFFFF_FFFF if name.startswith("i32") else 0xFFFF_FFFF_FFFF_FFFF
    near = slice(max(min(start, PAGE) - 16, 0), min(start + 16, PAGE))
    expected = bytearray(memory[near])
    store = exports[f"{name}+{offset}"]
    if start + size > PAGE:
        with pytest.raises(Trap) as caught:
            store(address, value)
        assert caught.value.kind is TrapKind.MEMORY_OUT_OF_BOUNDS
    else:
        store(address, value)
        at = start - near.start
        expected[at : at + size] = stored(name, value)
    assert memory[near] == bytes(expected)


@pytest.mark.parametrize("name", ["f32.store", "f64.store"])
@pytest.mark.parametrize("address", [0, 1, 2, 3, 4, 65535 - 8])
def test_float_stores(exports: wasmine.Exports, name: str, address: int) -> None:
    exports[f"{name}+0"](address, 1.5)
    data = struct.pack("<f" if name == "f32.store" else "<d", 1.5)
    assert exports.memory[address : address + len(data)] == data


def test_the_trap_says_where(exports: wasmine.Exports) -> None:
    with pytest.raises(Trap, match="4 bytes at 0x1fff7 in a memory of 0x10000 bytes"):
        exports["i32.load+65528"](65535)


GROWING = """
(module
  (memory (export "memory") 1 4)
  (func $grow (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  ;; The memory grows after the address was evaluated, and before the access.
  (func (export "store_grown") (param i32) (i32.store (local.get 0) (call $grow (i32.const 1))))
  (func (export "load_grown") (param i32) (result i32)
    (i32.load (i32.add (local.get 0) (i32.mul (call $grow (i32.const 1)) (i32.const 0)))))
  (func (export "fill_grown") (param i32) (memory.fill (local.get 0) (call $grow (i32.const 1)) (i32.const 4)))
  (func (export "sum_grown") (param i32) (result i32)
    (i32.add (i32.load (local.get 0)) (i32.add (call $grow (i32.const 1)) (i32.load (local.get 0))))))
"""


def test_growing_keeps_the_contents_and_adds_zeros(instantiate: Callable[..., wasmine.Instance]) -> None:
    exports = instantiate(GROWING).exports
    exports.store(65532, -2)
    assert exports.grow(1) == 1
    assert exports.load(65532) == -2
    assert exports.load(65536 + 1000) == 0
    exports.store(2 * 65536 - 4, 77)
    assert exports.load(2 * 65536 - 4) == 77
    assert exports.grow(3) == -1
    assert exports.grow(-1) == -1
    assert exports.size() == 2


@pytest.mark.parametrize("function", ["store_grown", "load_grown", "fill_grown"])
def test_growing_while_operands_are_evaluated(instantiate: Callable[..., wasmine.Instance], function: str) -> None:
    exports = instantiate(GROWING).exports
    exports[function](65536 + 8)
    assert exports.size() == 2
    expected = {"store_grown": 1, "load_grown": 0, "fill_grown": 0x0101_0101}
    assert exports.load(65536 + 8) == expected[function]


def test_loads_on_both_sides_of_a_growth(instantiate: Callable[..., wasmine.Instance]) -> None:
    exports = instantiate(GROWING).exports
    exports.store(16, 20)
    assert exports.sum_grown(16) == 41


def test_a_frame_below_sees_the_grown_memory(instantiate: Callable[..., wasmine.Instance]) -> None:
    exports = None

    def host() -> None:
        assert exports is not None
        exports.memory.grow(1)
        exports.memory[65536 + 4 : 65536 + 8] = b"\x05\0\0\0"

    exports = instantiate(
        """(module (import "host" "grow" (func $host)) (memory (export "memory") 1)
          (func (export "run") (result i32) (local $before i32)
            (local.set $before (i32.load (i32.const 0)))
            (call $host)
            (i32.add (local.get $before) (i32.load (i32.const 65540)))))""",
        {"host": {"grow": host}},
    ).exports
    assert exports.run() == 5


def test_every_instance_sees_the_memory_grow(instantiate: Callable[..., wasmine.Instance]) -> None:
    first = instantiate(GROWING, name="first")
    second = instantiate(
        """(module (import "first" "memory" (memory $theirs 1)) (memory $own 1)
          (func (export "load") (param i32) (result i32) (i32.load $theirs (local.get 0)))
          (func (export "grow") (result i32) (memory.grow $theirs (i32.const 1))))"""
    )
    with pytest.raises(Trap):
        second.exports.load(65536)
    assert first.exports.grow(1) == 1
    first.exports.store(65536, 9)
    assert second.exports.load(65536) == 9
    assert second.exports.grow() == 2
    assert first.exports.load(3 * 65536 - 4) == 0


def test_a_view_that_the_host_holds_does_not_stop_growth(instantiate: Callable[..., wasmine.Instance]) -> None:
    exports = instantiate(GROWING).exports
    exports.store(0, 7)
    view = exports.memory.view()
    part = view[:4]
    assert exports.grow(1) == 1
    assert exports.load(0) == 7
    exports.store(65536, 8)
    assert exports.load(65536) == 8
    assert bytes(part) == b"\x07\0\0\0"  # what it showed, it shows


def test_a_memory_that_cannot_grow_stays_usable(
    instantiate: Callable[..., wasmine.Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(size: int) -> bytearray:
        raise MemoryError

    exports = instantiate(GROWING).exports
    part = exports.memory.view()[:4]  # so that it cannot grow where it is
    monkeypatch.setattr(storage, "_allocate", refuse)
    monkeypatch.setattr(storage, "_mapping", refuse)
    monkeypatch.setattr(storage, "_COPIED_CEILING", 0)  # what is copied, without a GIL, goes into a mapping
    assert exports.grow(1) == -1
    exports.store(8, 3)
    assert exports.load(8) == 3
    assert exports.size() == 1
    assert len(part) == 4


def test_a_large_memory_takes_no_memory_until_it_is_touched(runtime: wasmine.Runtime) -> None:
    memory = runtime.memory(65536)
    assert memory.byte_length == 1 << 32
    memory[(1 << 32) - 1] = 5
    assert memory[(1 << 32) - 1] == 5


def test_growing_beyond_what_a_bytearray_holds(runtime: wasmine.Runtime) -> None:
    memory = runtime.memory(1)
    memory[5] = 6
    assert memory.grow(2000) == 1
    assert memory[5] == 6
    memory[2000 * 65536] = 1
    assert memory.grow(1000) == 2001
    assert memory[5] == 6
    assert memory[2000 * 65536] == 1


BULK = """
(module
  (memory (export "memory") 1)
  (data $data "0123456789")
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32) (memory.init $data (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (data.drop $data)))
"""


@pytest.fixture
def bulk(instantiate: Callable[..., wasmine.Instance]) -> wasmine.Exports:
    return instantiate(BULK).exports


@given(target=st.integers(0, 40), source=st.integers(0, 40), length=st.integers(0, 40))
def test_copies_may_overlap(target: int, source: int, length: int) -> None:
    with wasmine.Runtime("interpreter") as runtime:
        exports = runtime.instantiate(BULK).exports
        expected = bytearray(range(80))
        exports.memory[0:80] = bytes(expected)
        exports.copy(target, source, length)
        expected[target : target + length] = bytes(expected[source : source + length])
        assert exports.memory[0:80] == bytes(expected)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("copy", (65530, 0, 7)),
        ("copy", (0, 65530, 7)),
        ("copy", (65537, 0, 0)),
        ("fill", (65530, 1, 7)),
        ("fill", (-1, 1, 1)),
        ("init", (65530, 0, 7)),
        ("init", (0, 5, 6)),
        ("init", (0, 11, 0)),
    ],
)
def test_bulk_instructions_out_of_bounds_write_nothing(
    bulk: wasmine.Exports, function: str, arguments: tuple[int, int, int]
) -> None:
    before = bytes(bulk.memory.view())
    with pytest.raises(Trap) as caught:
        bulk[function](*arguments)
    assert caught.value.kind is TrapKind.MEMORY_OUT_OF_BOUNDS
    assert bytes(bulk.memory.view()) == before


def test_fill_and_init(bulk: wasmine.Exports) -> None:
    bulk.fill(10, 0x1FF, 3)
    assert bulk.memory[9:14] == b"\0\xff\xff\xff\0"
    bulk.init(20, 2, 3)
    assert bulk.memory[20:24] == b"234\0"
    bulk.drop()
    bulk.init(0, 0, 0)
    with pytest.raises(Trap):
        bulk.init(0, 0, 1)
