"""Host functions: Python callables that wasm can call, their types from annotations, and the `Caller` they may ask for.

A parameter is declared by an annotation `i32`, `i64`, `f32`, `f64`, `v128`, `funcref`, `externref` (of this module, or
their names as strings), by `int` (i32 or i64, as the import says) or `float` (f32 or f64). A first parameter annotated
`Caller` gets the calling instance. Parameters without an annotation take the import's type; annotations are checked
against it.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, cast, get_args, get_origin

from wasmine.errors import LinkError, WasmineError
from wasmine.format.types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128, FuncType, NumberType, RefType, func_type
from wasmine.record import record
from wasmine.runtime.deadline import calls_host, returned
from wasmine.runtime.function import Function
from wasmine.runtime.memory import Memory
from wasmine.runtime.values import signature

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Sequence

    from wasmine.format.types import DefinedType, ValueType
    from wasmine.runtime.instance import Exports, Instance
    from wasmine.runtime.runtime import Runtime

# For annotations: a type checker sees int, float, bytes; Wasmine sees the WebAssembly type.
i32 = Annotated[int, I32]
i64 = Annotated[int, I64]
f32 = Annotated[float, F32]
f64 = Annotated[float, F64]
v128 = Annotated[bytes, V128]
funcref = Annotated[Union[Function, None], FUNCREF]  # noqa: UP007 - evaluated at run time on every version
externref = Annotated[object, EXTERNREF]

_BY_NAME: dict[str, ValueType] = {
    "i32": I32,
    "i64": I64,
    "f32": F32,
    "f64": F64,
    "v128": V128,
    "funcref": FUNCREF,
    "externref": EXTERNREF,
}
# What plain Python annotations allow.
_LOOSE: dict[object, tuple[ValueType, ...]] = {int: (I32, I64), float: (F32, F64), bytes: (V128,), bool: (I32,)}


# What a declaration leaves open, per parameter or result: no types for "any".
_Choices: TypeAlias = "tuple[tuple[ValueType, ...], ...]"


class Caller:
    """The instance that called a host function. Valid during the call."""

    __slots__ = ("instance",)

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    @property
    def exports(self) -> Exports:
        """The calling instance's exports."""
        return self.instance.exports

    @property
    def runtime(self) -> Runtime:
        """The runtime of the calling instance."""
        return self.instance.runtime

    @property
    def memory(self) -> Memory:
        """The calling instance's memory: the export `memory`, else its first memory. WasmineError if it has none."""
        exported = self.instance.exports.get("memory")
        if isinstance(exported, Memory):
            return exported
        if self.instance.memories:
            return self.instance.memories[0]
        raise WasmineError(f"the calling instance {self.instance.name!r} has no memory")

    def __repr__(self) -> str:
        return f"<caller {self.instance!r}>"


@record
class HostCallable:
    """A Python callable that was fitted to a function type. `wants_caller`: its first argument is a `Caller`."""

    function: Callable[..., Any]
    type: FuncType
    name: str
    wants_caller: bool

    @calls_host
    def call(self, arguments: Sequence[Any], caller: Callable[[], Instance | None]) -> Any:
        """Call with internal arguments; the internal result. `caller` finds the calling instance where it is wanted."""
        convert = signature(self.type)
        values = [decode(value) for decode, value in zip(convert.decoders, arguments, strict=True)]
        if self.wants_caller:
            instance = caller()
            if instance is None:
                raise WasmineError(
                    f"host function {self.name}() needs a calling instance: it cannot be called from Python directly"
                )
            values.insert(0, Caller(instance))
        result = self.function(*values)
        returned()
        return convert.results(self.name, result)


def fit(function: Callable[..., Any], expected: FuncType, name: str) -> HostCallable:
    """The callable as a host function of type `expected`. LinkError if its parameters or annotations do not fit."""
    known: FuncType | None = getattr(function, "__wasm_type__", None)
    if known is not None and known.params == expected.params and known.results == expected.results:
        return HostCallable(function, expected, name, wants_caller=True)
    parameters, returns, wants_caller, optional = _declared(function, name)
    if parameters is not None:
        if len(expected.params) < len(parameters) <= len(expected.params) + optional:
            parameters = parameters[: len(expected.params)]
        problem = _misfit(parameters, expected.params, "parameter")
        if problem:
            raise LinkError(f"host function {name}(): {problem}; expected {expected}")
    if returns is not None:
        problem = _misfit(returns, expected.results, "result")
        if problem:
            raise LinkError(f"host function {name}(): {problem}; expected {expected}")
    if _is_asynchronous(function):
        from wasmine.runtime.asynchronous import blocking

        function = blocking(function, name)
    return HostCallable(function, expected, name, wants_caller)


def _is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, as far as can be told without calling it."""
    if getattr(function, "__wasm_type__", None) is not None:  # one of ours: no need to import inspect
        return False
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - it is looked at, not asked for
    )


def declared_type(function: Callable[..., Any]) -> DefinedType:
    """The function type that annotations alone declare. TypeError if one is missing or leaves a choice."""
    name = getattr(function, "__name__", "host function")
    parameters, returns, *_ = _declared(function, name)
    if parameters is None:
        raise TypeError(f"{name}() has no signature: give its type")
    chosen = []
    for kind, group in (("parameter", parameters), ("result", returns or ())):
        for number, choices in enumerate(group, 1):
            if len(choices) != 1:
                wanted = "annotate it with wasmine.i32, i64, f32, f64, v128, funcref or externref"
                raise TypeError(f"{name}(): the type of {kind} {number} is not clear: {wanted}")
        chosen.append([choices[0] for choices in group])
    return func_type(*chosen)


def _misfit(declared: _Choices, expected: Sequence[ValueType], what: str) -> str:
    if len(declared) != len(expected):
        return f"it has {len(declared)} {what}s"
    for number, (choices, want) in enumerate(zip(declared, expected, strict=True), 1):
        if choices and want not in choices:
            return f"{what} {number} is annotated {' or '.join(map(str, choices))}, not {want}"
    return ""


def _declared(function: Callable[..., Any], name: str) -> tuple[_Choices | None, _Choices | None, bool, int]:
    """The choices of each parameter and of each result (None: nothing is said), whether a Caller is wanted, and how many
    parameters have defaults.

    A function with the attribute `__wasm_type__` is of that type, and gets a Caller; nothing else of it is looked at.
    """
    known: FuncType | None = getattr(function, "__wasm_type__", None)
    if known is not None:
        return tuple((type,) for type in known.params), tuple((type,) for type in known.results), True, 0
    import inspect  # 6 ms: only for functions that programs bring themselves

    try:
        shape = inspect.signature(function)
    except (TypeError, ValueError):  # builtins without a signature
        return None, None, False, 0
    hints = _hints(function)
    parameters = list(shape.parameters.values())
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    wants_caller = bool(positional) and _is_caller(hints.get(positional[0].name, positional[0].annotation))
    if wants_caller:
        positional = positional[1:]
    declared: _Choices | None = None
    if not variadic:
        declared = tuple(_choices(hints.get(p.name), f"{name}() parameter {p.name!r}") for p in positional)
    returns: _Choices | None = None
    if "return" in hints:
        returned = hints["return"]
        if returned is None or returned is type(None):
            returns = ()
        elif get_origin(returned) is tuple:
            returns = tuple(_choices(part, f"{name}() result") for part in get_args(returned))
        elif returned not in (Any, object) and type(None) not in get_args(returned):  # not "a result or none"
            returns = (_choices(returned, f"{name}() result"),)
    return declared, returns, wants_caller, sum(p.default is not p.empty for p in positional)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations by parameter name, strings evaluated where their names can be found."""
    if not isinstance(function, FunctionType | MethodType):
        function = getattr(function, "__wrapped__", None) or type(function).__call__
    raw: dict[str, Any] = dict(getattr(function, "__annotations__", {}))
    names = getattr(function, "__globals__", {})
    for key, annotation in raw.items():
        if isinstance(annotation, str):
            try:
                raw[key] = eval(annotation, names, dict(_EVALUATION))  # annotations of the host's own code
            except Exception:
                raw[key] = annotation
    return raw


def _is_caller(annotation: Any) -> bool:
    return annotation is Caller or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "Caller")


def _choices(annotation: Any, where: str) -> tuple[ValueType, ...]:
    if annotation is None or annotation is Any or annotation is object:
        return ()
    if isinstance(annotation, NumberType | RefType):
        return (annotation,)
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, NumberType | RefType):
                return (extra,)
        annotation = get_args(annotation)[0]
    if isinstance(annotation, str):
        known = _BY_NAME.get(annotation.rpartition(".")[2])
        return (known,) if known else ()
    for plain, choices in _LOOSE.items():
        if annotation is plain:
            return choices
    if isinstance(annotation, type) and issubclass(annotation, str | list | dict):
        raise LinkError(f"{where}: {annotation.__name__} has no WebAssembly type; use wasmine.i32, i64, f32, f64, ...")
    return ()


_EVALUATION: dict[str, Any] = {
    "i32": i32,
    "i64": i64,
    "f32": f32,
    "f64": f64,
    "v128": v128,
    "funcref": funcref,
    "externref": externref,
    "Caller": Caller,
}

_PYTHON_TYPES: dict[ValueType, Any] = {I32: int, I64: int, F32: float, F64: float, V128: bytes}


def python_signature(function: Function) -> inspect.Signature:
    """What `inspect.signature` and `help()` show of a wasm function: parameter names from the name section."""
    import inspect

    type = function.type
    instance = function.instance
    names = instance.module.local_names(function.index) if instance is not None else {}
    parameters = []
    used: set[str] = set()
    for number, parameter in enumerate(type.params):
        name = names.get(number, "")
        if not name.isidentifier() or name in used:
            name = f"p{number}"
        used.add(name)
        annotation = _PYTHON_TYPES.get(parameter, object)
        parameters.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=annotation))
    results = tuple(_PYTHON_TYPES.get(result, object) for result in type.results)
    returned: Any = None if not results else results[0] if len(results) == 1 else cast("Any", tuple)[results]
    return inspect.Signature(parameters, return_annotation=returned)
