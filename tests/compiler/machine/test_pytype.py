"""C-level subclasses of Python classes."""

from __future__ import annotations

import ctypes
import gc
import sys
import types
import weakref
from typing import Any

import pytest

if sys.implementation.name != "cpython":
    pytest.skip("types of CPython's stable ABI", allow_module_level=True)

from wasmine.compiler.machine import pytype
from wasmine.compiler.machine.pytype import extend


class Base:
    """What is extended."""

    __slots__ = ("__weakref__", "held")

    def __init__(self, held: object) -> None:
        self.held = held

    def method(self) -> object:
        return self.held


@ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
def count_arguments(self: Any, arguments: int, count: int, names: int) -> object:
    return self.held, count & (1 << 63) - 1, names


ADDRESS = ctypes.cast(count_arguments, ctypes.c_void_p).value


@pytest.fixture(scope="module")
def extended() -> Any:
    found, start = extend(Base, "Extended", 16)
    assert start == Base.__basicsize__
    assert found.__basicsize__ == start + 16
    return found


def words(made: object) -> ctypes.Array[ctypes.c_uint64]:
    """What lies behind the attributes."""
    return (ctypes.c_uint64 * 2).from_address(id(made) + Base.__basicsize__)


def test_it_is_a_subclass_with_words(extended: Any) -> None:
    made = extended("x")
    assert isinstance(made, Base)
    assert made.method() == "x"
    assert (extended.__name__, extended.__module__) == ("Extended", __name__)
    assert list(words(made)) == [0, 0]
    with pytest.raises(AttributeError):
        made.other = 1


def test_python_code_sees_no_attributes_for_the_words(extended: Any) -> None:
    assert set(dir(extended)) - set(dir(Base)) == {"__call__", "__vectorcalloffset__"}
    with pytest.raises(AttributeError):
        extended("x").__vectorcalloffset__ = 0


def test_a_call_calls_the_function_at_the_address(extended: Any) -> None:
    made = extended("x")
    words(made)[0] = ADDRESS
    assert made(1, 2, 3) == ("x", 3, None)
    assert made(*range(1000)) == ("x", 1000, None)
    assert made.__call__() == ("x", 0, None)
    assert list(map(made, [1])) == [("x", 1, None)]


def test_without_a_function_it_is_not_callable(extended: Any) -> None:
    with pytest.raises(TypeError):
        extended("x")(1)


def test_objects_and_what_they_hold_are_freed(extended: Any) -> None:
    class Held:
        pass

    held = Held()
    made = extended(held)
    gone = weakref.ref(held), weakref.ref(made)
    del held, made
    assert [reference() for reference in gone] == [None, None]
    cycle = extended(None)
    cycle.held = cycle
    again = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert again() is None


def test_objects_that_are_laid_out_in_another_way_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pytype.type_offset() == object.__basicsize__ - 8
    other = object()
    monkeypatch.setattr(pytype, "id", lambda value: id(other), raising=False)
    with pytest.raises(OSError, match="how this Python lays its objects out"):
        pytype.type_offset()


def test_what_is_known_of_tuples_and_ints_here() -> None:
    assert pytype.items_offset() == tuple.__basicsize__
    mask, zero, digit = pytype.int_layout()
    assert digit > 0  # small ints are read where they lie, on every Python that there is

    def distance(value: int) -> int:
        word = ctypes.c_uint64.from_address(id(value) + object.__basicsize__).value
        return ((word & mask) - zero) % (1 << 64)

    for value in (0, 1, 2, 255, 256, 257, 258, 65_535, (1 << 29) + 5, (1 << 30) - 1):
        assert distance(value) == (digit if value else 0)
    for value in (-1, -5, -6, -(1 << 29), 1 << 30, -(1 << 30), (1 << 31) - 1, 1 << 32, 1 << 60, 1 << 90, 1 << 2000):
        assert distance(value) > digit


@pytest.mark.parametrize("name", ["bits_per_digit", "sizeof_digit"])
def test_ints_of_other_digits_are_left_to_python(monkeypatch: Any, name: str) -> None:
    info = {"bits_per_digit": 30, "sizeof_digit": 4, name: 15}
    monkeypatch.setattr(pytype.sys, "int_info", types.SimpleNamespace(**info))
    assert pytype.int_layout() == (0, 1, 0)


def test_tuples_that_are_laid_out_otherwise_are_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr(pytype, "_word", lambda value, offset: 0)
    with pytest.raises(OSError, match="how this Python lays its objects out"):
        pytype.items_offset()
