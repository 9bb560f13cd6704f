"""C-level types: `extend` makes a subclass of a Python class, through CPython's stable ABI."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

_MEMBERS, _CALL, _DOC = 72, 50, 56  # Py_tp_members, Py_tp_call, Py_tp_doc
_SIZE: Final = 19  # Py_T_PYSSIZET
_READ_ONLY: Final = 1
_HAVE_VECTORCALL: Final = 1 << 11  # Py_TPFLAGS_HAVE_VECTORCALL
_DEFAULT: Final = 1 << 18  # Py_TPFLAGS_DEFAULT


class _Member(ctypes.Structure):
    """`PyMemberDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Slot(ctypes.Structure):
    """`PyType_Slot`."""

    _fields_ = (("slot", ctypes.c_int), ("value", ctypes.c_void_p))


class _Spec(ctypes.Structure):
    """`PyType_Spec`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("size", ctypes.c_int),
        ("item_size", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    )


_UNKNOWN: Final = "machine code does not know how this Python lays its objects out"
_ALL: Final = (1 << 64) - 1
_DIGIT: Final = 30  # bits

_kept: Final[list[object]] = []  # types point into their specifications


def extend(base: type, name: str, size: int) -> tuple[Any, int]:
    """A subclass of `base` whose objects have `size` more bytes, zeros at first, and where in them these lie.

    The first 8 hold the address of the vectorcall function that a call of an object calls. Python code has no attributes
    for any of it: with a wrong address there a program would crash itself. TypeError if the base does not allow it.
    """
    start = base.__basicsize__
    members = [_Member(b"__vectorcalloffset__", _SIZE, start, _READ_ONLY, None), _Member()]
    table = (_Member * len(members))(*members)
    doc = (base.__doc__ or "").encode()
    call = ctypes.cast(ctypes.pythonapi.PyVectorcall_Call, ctypes.c_void_p)
    slots = (_Slot * 4)(
        _Slot(_MEMBERS, ctypes.addressof(table)),
        _Slot(_CALL, call.value),
        _Slot(_DOC, ctypes.cast(ctypes.c_char_p(doc), ctypes.c_void_p)),
        _Slot(0, None),
    )
    spec = _Spec(f"{base.__module__}.{name}".encode(), start + size, 0, _DEFAULT | _HAVE_VECTORCALL, slots)
    _kept.append((table, doc, slots, spec))
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object)(
        ("PyType_FromSpecWithBases", ctypes.pythonapi)
    )
    return make(ctypes.addressof(spec), (base,)), start


def type_offset() -> int:
    """Where in an object the address of its type lies: at the end of what all objects begin with. OSError if not."""
    offset = object.__basicsize__ - 8
    for value in (None, True, 7, 1.5, b"", ()):
        if _word(value, offset) != id(type(value)):
            raise OSError(_UNKNOWN)
    return offset


def items_offset() -> int:
    """Where in a tuple the addresses of its items begin. How many they are lies behind the type. OSError if not."""
    offset = tuple.__basicsize__
    for count in range(1, 6):
        value = tuple(object() for _ in range(count))
        items = [_word(value, offset + 8 * i) for i in range(count)]
        if _word(value, object.__basicsize__) != count or items != [id(item) for item in value]:
            raise OSError(_UNKNOWN)
    return offset


def int_layout() -> tuple[int, int, int]:
    """How to tell from the word behind an int's type that it has one digit of 4 bytes, which follows, and is not negative.

    The word has some bits that say nothing (mask). Without them, and less the second number, it is 0 for the number 0, at
    most the third number for the others, and more for any other int. Where that does not hold, there is no such word.
    """
    at = object.__basicsize__
    large = int("1000000")  # not one of the small numbers that are there once, which may be marked
    mask = _ALL & ~(_word(1, at) ^ _word(large, at))
    zero = _word(0, at) & mask
    digit = (_word(1, at) & mask) - zero

    def distance(value: int) -> int:
        return ((_word(value, at) & mask) - zero) & _ALL

    powers = [1 << bits for bits in range(_DIGIT, 64 * _DIGIT, _DIGIT // 2)]
    single = [large, 1, 7, 256, 257, *(1 << bits for bits in range(_DIGIT)), (1 << _DIGIT) - 1]
    others = [-1, -7, -large, 1 - (1 << _DIGIT), *powers, *(-power for power in powers)]
    fits = (
        sys.int_info.sizeof_digit == 4
        and sys.int_info.bits_per_digit == _DIGIT
        and mask.bit_count() >= 63
        and distance(0) == 0 < digit
        and all(distance(value) == digit and _word(value, at + 8) & 0xFFFF_FFFF == value for value in single)
        and all(distance(value) > digit for value in others)
    )
    return (mask, zero, digit) if fits else (0, 1, 0)


def _word(value: object, offset: int) -> int:
    return ctypes.c_uint64.from_address(id(value) + offset).value
