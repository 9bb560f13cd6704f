"""C-level types: `extend` makes a subclass of a Python class, through CPython's stable ABI."""

from __future__ import annotations

import ctypes
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
        if ctypes.c_size_t.from_address(id(value) + offset).value != id(type(value)):
            raise OSError("machine code does not know how this Python lays its objects out")
    return offset
