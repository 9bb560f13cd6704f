"""The host module `spectest` that scripts import from: functions that do nothing, and one of everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wasmine.format.types import F32, F64, I32, I64, FuncType

if TYPE_CHECKING:
    from wasmine.format.types import NumberType
    from wasmine.runtime.runtime import Runtime

_PRINTS: Final[dict[str, tuple[NumberType, ...]]] = {
    "print": (),
    "print_i32": (I32,),
    "print_i64": (I64,),
    "print_f32": (F32,),
    "print_f64": (F64,),
    "print_i32_f32": (I32, F32),
    "print_f64_f64": (F64, F64),
}
_GLOBALS: Final[dict[str, tuple[NumberType, float]]] = {
    "global_i32": (I32, 666),
    "global_i64": (I64, 666),
    "global_f32": (F32, 666.6),
    "global_f64": (F64, 666.6),
}


def spectest(runtime: Runtime) -> dict[str, Any]:
    """A new `spectest` for the instances of a runtime: members by name."""

    def ignore(*_: object) -> None:
        """The scripts look at results, not at what is printed."""

    return {
        **{name: runtime.function(ignore, FuncType(params), name=name) for name, params in _PRINTS.items()},
        **{name: runtime.global_(type, value) for name, (type, value) in _GLOBALS.items()},
        "table": runtime.table(10, 20),
        "table64": runtime.table(10, 20, address=I64),
        "memory": runtime.memory(1, 2),
        "shared_memory": runtime.memory(1, 2, shared=True),
    }
