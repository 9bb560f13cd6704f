"""`Programs`: how machine code converts the arguments and results of a type, between Python objects and slots.

A program (`layout.Program`) is a sequence of addresses of steps, which are pieces of the hand-written machine code, each
with its operands behind it. So a type costs some words of data and no code, and what steps there are is all that a
processor's architecture has to say here. Values that no step converts (typed references, for example) are left to Python.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final, cast

from wasmine.compiler.machine.layout import Call
from wasmine.compiler.references import Known
from wasmine.compiler.values import in_vector_register, slot_count
from wasmine.format.types import F32, F64, I32, I64, V128, Heap, RefType, is_function_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wasmine.compiler.references import References
    from wasmine.format.types import DefinedType, FuncType, ValueType

_NUMBERS: Final[dict[ValueType, str]] = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128"}
_ARGUMENTS_OFFSET: Final = 1 << 63  # PY_VECTORCALL_ARGUMENTS_OFFSET: the callee may use the slot before the arguments
_WORD: Final = 8


class Programs:
    """The programs of one engine, by type. They are never given back: machine code may be in the middle of any."""

    def __init__(self, references: References, symbols: Mapping[str, int]) -> None:
        self._references = references
        self._symbols = symbols
        # Held: programs have their addresses.
        self._number, self._of_function = references.known_number, references.of_function
        self._function = references.function
        self._nothing = Known()
        self._keep: list[ctypes.Array[ctypes.c_uint64]] = []
        self._calls: dict[DefinedType, int] = {}
        self._hosts: dict[tuple[DefinedType, bool], int | None] = {}
        self._unusual = self._place([1, 0])

    def call(self, type: DefinedType) -> int:
        """The address of the program for calls from Python. Some leave every call to Python."""
        found = self._calls.get(type)
        if found is None:
            words = self._call(cast("FuncType", type.composite))
            found = self._calls[type] = self._unusual if words is None else self._place(words)
        return found

    def host(self, type: DefinedType, wants_caller: bool) -> int | None:
        """The address of the program of host functions; None if Python has to convert."""
        key = type, wants_caller
        if key not in self._hosts:
            words = self._host(cast("FuncType", type.composite), wants_caller)
            self._hosts[key] = self._place(words) if words is not None else None
        return self._hosts[key]

    def _place(self, words: Sequence[int]) -> int:
        block = (ctypes.c_uint64 * len(words))(*words)
        self._keep.append(block)
        return ctypes.addressof(block)

    def _call(self, type: FuncType) -> list[int] | None:
        take, box = _all(self._take, type.params), _all(self._box, type.results)
        if take is None or box is None:
            return None
        step, count = self._symbols, len(type.results)
        size = Call.FRAME + _WORD * max(slot_count(type.params), slot_count(type.results))
        results = Call.FRAME
        if count == 1:
            results = Call.RESULT_VECTOR if in_vector_register(type.results[0]) else Call.RESULT
        ending = [step["return_tuple"], count]
        if count < 2:
            ending = [step["return_one" if count else "return_none"]]
        return [2 * len(type.params), size, *take, step["run_wasm"], results, *box, *ending]

    def _host(self, type: FuncType, wants_caller: bool) -> list[int] | None:
        box, take = _all(self._box, type.params), _all(self._take, type.results)
        if take is None or box is None:
            return None
        step, count, results = self._symbols, len(type.results), slot_count(type.results)
        size = _WORD * max(slot_count(type.params), results + count, 1)
        given = len(type.params) + wants_caller
        caller = [step["box_caller"]] if wants_caller else []
        call = [step["call_python"], given | _ARGUMENTS_OFFSET, -_WORD if wants_caller else 0]
        if not count:
            take = [step["expect_none"]]
        elif count > 1:
            take = [step["unpack"], count, _WORD * results, *take]
        return [0, size, *caller, *box, *call, *take, step["host_done"]]

    def _take(self, type: ValueType) -> list[int] | None:
        """The step that makes a slot of an object, with its operands."""
        if type in _NUMBERS:
            return [self._symbols[f"take_{_NUMBERS[type]}"]]
        assert isinstance(type, RefType)
        step = self._symbols["take_reference"]
        if type.nullable and type.heap is Heap.EXTERN:
            return [step, self._references.known.place, id(self._number)]
        if type.nullable and type.heap is Heap.FUNC:
            return [step, self._nothing.place, id(self._of_function)]
        return None

    def _box(self, type: ValueType) -> list[int] | None:
        """The step that makes an object of a slot, with its operands."""
        if type in _NUMBERS:
            return [self._symbols[f"box_{_NUMBERS[type]}"]]
        assert isinstance(type, RefType)
        if is_function_type(type):
            return [self._symbols["box_function"], id(self._function)]
        if type.heap is Heap.EXTERN:
            return [self._symbols["box_reference"]]
        return None


def _all(convert: Callable[[ValueType], list[int] | None], types: Iterable[ValueType]) -> list[int] | None:
    words: list[int] = []
    for type in types:
        step = convert(type)
        if step is None:
            return None
        words += step
    return words
