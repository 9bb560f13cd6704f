"""`record`: what `dataclass(frozen=True, slots=True)` makes, in an eighth of the time, without importing `dataclasses`.

Importing Wasmine makes dozens of such classes. `dataclasses` takes 0.7 ms for each, and 6 ms to be imported; both were a
third of the time until the first call. Only the constructor is compiled here. A record is a dataclass for everybody who
asks: `dataclasses.fields`, `replace`, `asdict` and `is_dataclass` work, and load `dataclasses` then.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, dataclass_transform, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _Made:
    """A default value that is made anew for every object."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], T]) -> T:
    """A field with a default value of its own for every object."""
    return _Made(default_factory)  # type: ignore[return-value]


@overload
def record(cls: type[T]) -> type[T]: ...
@overload
def record(*, frozen: bool) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T] | None = None, *, frozen: bool = True) -> type[T] | Callable[[type[T]], type[T]]:
    """A class of objects that consist of their annotated fields; `__match_args__` has the names of these.

    Equal fields make equal objects. Frozen ones have a hash and cannot be changed. A class that defines one of the
    methods itself keeps it.
    """

    def make(original: type[T]) -> type[T]:
        return _make(original, frozen=frozen)

    return make if cls is None else make(cls)


def _make(original: type[T], *, frozen: bool) -> type[T]:
    annotations = {
        name: type for name, type in original.__annotations__.items() if not str(type).startswith("ClassVar")
    }
    names = tuple(annotations)
    namespace = {name: value for name, value in vars(original).items() if name not in ("__dict__", "__weakref__")}
    defaults = {name: namespace.pop(name) for name in names if name in namespace}
    get: Callable[[Any], Any] = attrgetter(*names) if names else bool

    def is_equal(self: object, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return get(self) == get(other)

    methods: dict[str, Any] = {"__eq__": is_equal, "__hash__": None, "__repr__": _represent}
    if frozen:
        methods |= {
            "__hash__": lambda self: hash(get(self)),
            "__setattr__": _refuse_change,
            "__delattr__": _refuse_deletion,
            "__getstate__": lambda self: [getattr(self, name) for name in names],
            "__setstate__": _restore,
        }
    namespace = {
        **methods,
        **namespace,
        "__slots__": names,
        "__match_args__": names,
        "__qualname__": original.__qualname__,
        "__dataclass_fields__": _Fields(annotations, defaults),
    }
    made: Any = type(original.__name__, original.__bases__, namespace)
    if "__init__" not in namespace:
        made.__init__ = _constructor(made, names, defaults, frozen=frozen)
    return cast("type[T]", made)


def _constructor(cls: type, names: tuple[str, ...], defaults: dict[str, Any], *, frozen: bool) -> Callable[..., None]:
    """`__init__`. That of a frozen class sets the slots by their descriptors, past `__setattr__`."""
    known: dict[str, Any] = {}
    parameters, lines = ["self"], []
    for name in names:
        value = name
        if name in defaults:
            default = defaults[name]
            known[f"_default_{name}"] = default
            parameters.append(f"{name}=_default_{name}")
            if isinstance(default, _Made):
                known[f"_make_{name}"] = default.make
                value = f"_make_{name}() if {name} is _default_{name} else {name}"
        else:
            parameters.append(name)
        if frozen:
            known[f"_set_{name}"] = vars(cls)[name].__set__
            lines.append(f" _set_{name}(self, {value})")
        else:
            lines.append(f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or [" pass"]), known)
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    return made


def _represent(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{self.__class__.__qualname__}({values})"


def _refuse_change(self: object, name: str, value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(self: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _restore(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__match_args__, state, strict=True):
        object.__setattr__(self, name, value)


class _Fields:
    """What `dataclasses` looks for in a class, made when it first does."""

    __slots__ = ("_annotations", "_defaults", "_fields")

    def __init__(self, annotations: dict[str, Any], defaults: dict[str, Any]) -> None:
        self._annotations = annotations
        self._defaults = defaults
        self._fields: dict[str, Any] | None = None

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        if self._fields is None:
            import dataclasses

            columns: list[Any] = []
            for name, type in self._annotations.items():
                default = self._defaults.get(name, dataclasses.MISSING)
                if isinstance(default, _Made):
                    columns.append((name, type, dataclasses.field(default_factory=default.make)))
                else:
                    columns.append((name, type, dataclasses.field(default=default)))
            made: Any = dataclasses.make_dataclass(owner.__name__, columns)
            self._fields = made.__dataclass_fields__
        return self._fields
