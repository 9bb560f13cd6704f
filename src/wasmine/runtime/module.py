"""`Module`: a decoded and validated module, ready to be instantiated any number of times in any runtime."""

from __future__ import annotations

import os
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from wasmine.errors import DecodeError
from wasmine.format.features import Features
from wasmine.format.module import Active, Export, Expression, Mode, ModuleSyntax, Names
from wasmine.format.types import FuncIndex, FuncType, GlobalType, Kind, MemoryType, TableType, TagIndex, TagType
from wasmine.record import record
from wasmine.runtime.cache import Cache, digest
from wasmine.runtime.table import Functions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.format.types import ValueType
    from wasmine.runtime.cache import Stored
    from wasmine.runtime.instance import Instance
    from wasmine.validation.context import Context
    from wasmine.validation.module import Progress

Source: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | IO[str] | ModuleSyntax | Module"
)
ExternType: TypeAlias = FuncType | TableType | MemoryType | GlobalType | TagType
Evaluator: TypeAlias = "Callable[[Instance], Any]"

_MAGIC = b"\0asm"


@record
class ImportType:
    """One import: the two names and the closed type."""

    module: str
    name: str
    type: ExternType


class Module:
    """A WebAssembly module, decoded and fully validated; immutable and shareable between threads and runtimes.

    `source` is a path (binary or text), `bytes` of the binary format (or of text), text that starts with `(`, a file
    object, or a module's abstract syntax. `features` says what the module may use. A `cache` (`runtime.cache`) remembers
    that the module is valid, so that its bodies need not be looked at again. `progress` is called now and then with the
    number of bodies that were validated and of all. Raises DecodeError, ValidationError, UnsupportedFeature, OSError.
    """

    def __init__(
        self,
        source: Source,
        *,
        name: str | None = None,
        features: Features | None = None,
        cache: Cache | str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.features = features or Features()
        self.origin = ""  # the path of the file, for messages
        self._cache = Cache.of(cache)  # held: it writes what it was told when it goes
        self._known: Stored | None = None
        self._facts: dict[str, bool] = {}
        self._digest = b""
        self.syntax = self._load(source)
        self.context = self._validated(progress)
        self._name = name
        self.cache: dict[str, Any] = {}  # what engines keep per module, by engine name

    def _load(self, source: Source) -> ModuleSyntax:
        if isinstance(source, Module):
            return source.syntax
        if isinstance(source, ModuleSyntax):
            return source
        if isinstance(source, str) and source.lstrip().startswith(("(", ";;")):
            return _parse_text(source)
        if isinstance(source, str | os.PathLike):
            self.origin = os.fspath(source)
            with open(source, "rb") as file:  # noqa: PTH123 - importing pathlib takes 4 ms
                return self._parse(file.read())
        if isinstance(source, bytes | bytearray | memoryview):
            return self._parse(bytes(source))
        read = getattr(source, "read", None)
        if read is None:
            raise TypeError(f"expected a path, bytes, text or a file object, found {type(source).__name__}")
        data = read()
        return _parse_text(data) if isinstance(data, str) else self._parse(bytes(data))

    def _parse(self, data: bytes) -> ModuleSyntax:
        if self._cache is not None:
            self._digest = digest(data)
        return _parse(data, self.origin)

    def _validated(self, progress: Progress | None) -> Context:
        from wasmine.validation import validate

        if self._cache is None:
            return validate(self.syntax, self.features, progress=progress)
        self._known = self._cache.stored(self.digest, f"facts {self.features}")
        if self._known.get("valid") is not None:
            return validate(self.syntax, self.features, bodies=False)
        context = validate(self.syntax, self.features, progress=progress)
        self._known.put("valid", b"")
        return context

    def fact(self, name: str, find: Callable[[Context], bool]) -> bool:
        """Whether something is so in the module. It is found out once, and a cache remembers it."""
        answer = self._facts.get(name)
        if answer is None:
            kept = self._known.get(name) if self._known is not None else None
            answer = self._facts[name] = find(self.context) if kept is None else kept == b"yes"
            if kept is None and self._known is not None:
                self._known.put(name, b"yes" if answer else b"no")
        return answer

    @property
    def digest(self) -> bytes:
        """What no other module with the same features has: 32 bytes, the same in every process."""
        if not self._digest:
            # Where bodies stood in the source is part of the code that engines make: it is what tracebacks show.
            offsets = b"".join(code.body.offset.to_bytes(8, "little") for code in self.syntax.code)
            self._digest = digest(self.to_bytes(), offsets)
        return self._digest

    @cached_property
    def names(self) -> Names:
        """The name section: names for people."""
        section = next((custom for custom in self.syntax.customs if custom.name == "name"), None)
        if section is None:
            return Names()
        from wasmine.format.names import read_names

        return read_names(section.data)

    @property
    def name(self) -> str:
        """The name given, else that of the name section, else the file's, else ""."""
        if self._name is not None:
            return self._name
        return self.names.module or (_stem(self.origin) if self.origin else "")

    def function_name(self, index: int) -> str:
        """A function's name for people: from the name section, else an import's or export's, else `func[INDEX]`."""
        return self.names.functions.get(index) or self._external_names.get(index) or f"func[{index}]"

    def local_names(self, index: int) -> dict[int, str]:
        """Names of a function's parameters and locals, by local index."""
        return self.names.locals.get(index, {})

    @cached_property
    def _external_names(self) -> dict[int, str]:
        functions = [entry for entry in self.syntax.imports if isinstance(entry.type, FuncIndex)]
        names = {index: f"{entry.module}.{entry.name}" for index, entry in enumerate(functions)}
        for export in self.syntax.exports:
            if export.kind is Kind.FUNC:
                names.setdefault(export.index, export.name)
        return names

    @cached_property
    def imports(self) -> tuple[ImportType, ...]:
        """What an instance needs, in order."""
        counters = dict.fromkeys(Kind, 0)
        found = []
        for entry in self.syntax.imports:
            kind = import_kind(entry.type)
            found.append(ImportType(entry.module, entry.name, self.extern_type(kind, counters[kind])))
            counters[kind] += 1
        return tuple(found)

    @cached_property
    def exports(self) -> dict[str, ExternType]:
        """What an instance offers: types by name, in order."""
        return {entry.name: self.extern_type(entry.kind, entry.index) for entry in self.syntax.exports}

    @cached_property
    def export_entries(self) -> dict[str, Export]:
        """Kinds and indices of exports by name, in order."""
        return {entry.name: entry for entry in self.syntax.exports}

    def extern_type(self, kind: Kind, index: int) -> ExternType:
        """The closed type of a member of an index space."""
        context = self.context
        match kind:
            case Kind.FUNC:
                return cast("FuncType", context.functions[index].composite)
            case Kind.TABLE:
                return context.tables[index]
            case Kind.MEMORY:
                return context.memories[index]
            case Kind.GLOBAL:
                return context.globals[index]
            case Kind.TAG:
                return TagType(cast("FuncType", context.tags[index].composite))

    def custom_sections(self, name: str) -> tuple[bytes, ...]:
        """The contents of the custom sections of this name."""
        return tuple(custom.data for custom in self.syntax.customs if custom.name == name)

    @property
    def features_used(self) -> set[str]:
        """The features beyond the first version of WebAssembly that the module needs, as names of `Features`."""
        from wasmine.validation import features_used

        return features_used(self.context)

    def to_bytes(self) -> bytes:
        """The module in the binary format."""
        from wasmine.format.writer import write

        return write(self.syntax)

    def binary_offset(self, index: int, offset: int) -> int:
        """What is at `offset` of defined function `index` in the syntax, in the binary format.

        The same, for a module that was given in the binary format. In other syntax each body counts from 0.
        """
        number = index - self.context.imported_functions
        return offset + (0 if self.syntax.code[number].body.offset else self._body_offsets[number])

    @cached_property
    def _body_offsets(self) -> list[int]:
        from wasmine.format.reader import read

        return [code.body.offset for code in read(self.to_bytes()).code]

    @cached_property
    def constants(self) -> Constants:
        """The evaluators of its constant expressions."""
        return Constants(self.context)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.to_bytes(), self._name, self.features, self.origin)

    def __repr__(self) -> str:
        shape = f"{len(self.syntax.imports)} imports, {len(self.syntax.exports)} exports"
        return f"<module {self.name or 'anonymous'}: {shape}, {len(self.syntax.code)} functions>"


class Constants:
    """Evaluators of all constant expressions of a module, made on the first instantiation."""

    def __init__(self, context: Context) -> None:
        from wasmine.runtime.constant import ConstantCompiler

        syntax = context.syntax
        one = ConstantCompiler(context).compile
        self._context, self._one = context, one

        first_table, first_global = context.imported_tables, context.imported_globals
        self.tables: list[Evaluator | None] = [
            one(table.init, context.tables[first_table + i].element) if table.init is not None else None
            for i, table in enumerate(syntax.tables)
        ]
        self.globals: list[Evaluator] = [
            one(entry.init, context.globals[first_global + i].value) for i, entry in enumerate(syntax.globals)
        ]
        # Segments: active ones with the table or memory, the offset, and either what is copied or how to evaluate it;
        # and, by index, what instructions can use of them after instantiation.
        self.elements: list[Evaluator] = []  # one for all the items of a segment
        self.active_elements: list[tuple[int, Evaluator, Functions | None, Evaluator]] = []
        self.passive_elements: list[Evaluator | None] = []
        for segment, type in zip(syntax.elements, context.elements, strict=True):
            evaluate = _items(segment.items, type, one)
            self.elements.append(evaluate)
            self.passive_elements.append(evaluate if segment.mode is Mode.PASSIVE else None)
            mode = segment.mode
            if isinstance(mode, Active):
                at = one(mode.offset, context.tables[mode.index].address)
                functions = None if any(isinstance(item, Expression) for item in segment.items) else segment.items
                plain = Functions(cast("Sequence[int]", functions)) if functions is not None else None
                self.active_elements.append((mode.index, at, plain, evaluate))
        self.passive_data = [b"" if isinstance(data.mode, Active) else data.data for data in syntax.data]

    @cached_property
    def active_data(self) -> list[tuple[int, Evaluator, bytes]]:
        """Active data segments: the memory, the offset, the bytes. An instance of a snapshot does not need them."""
        context = self._context
        found = []
        for data in context.syntax.data:
            if isinstance(data.mode, Active):
                at = self._one(data.mode.offset, context.memories[data.mode.index].address)
                found.append((data.mode.index, at, data.data))
        return found


def _items(
    items: Sequence[int] | Sequence[Expression], type: ValueType, one: Callable[[Expression, ValueType], Evaluator]
) -> Evaluator:
    """The evaluator of an element segment: its list of references. Segments of 600,000 functions exist."""
    evaluators = [one(item, type) for item in items if isinstance(item, Expression)]
    if evaluators:
        return lambda instance: [evaluate(instance) for evaluate in evaluators]
    indices = cast("Sequence[int]", items)
    return lambda instance: [instance.function(index) for index in indices]


def import_kind(type: object) -> Kind:
    """The kind of an import from its type in the syntax."""
    if isinstance(type, FuncIndex):
        return Kind.FUNC
    if isinstance(type, TableType):
        return Kind.TABLE
    if isinstance(type, MemoryType):
        return Kind.MEMORY
    if isinstance(type, TagIndex):
        return Kind.TAG
    return Kind.GLOBAL


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122


def _parse(data: bytes, origin: str) -> ModuleSyntax:
    if data[:4] == _MAGIC:
        from wasmine.format.reader import read

        return read(data)
    text = None
    if data[:1] and not data[:1] < b"\t":
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = None
    if text is not None and text.lstrip("\ufeff \t\r\n").startswith(("(", ";;")):
        return _parse_text(text.removeprefix("\ufeff"))
    where = f"{origin}: " if origin else ""
    raise DecodeError(f"{where}magic header not detected: neither a WebAssembly binary nor text", 0)


def _parse_text(text: str) -> ModuleSyntax:
    from wasmine.format.text import parse_module

    return parse_module(text)


def _unpickle(binary: bytes, name: str | None, features: Features, origin: str) -> Module:
    module = Module(binary, name=name, features=features)
    module.origin = origin
    return module
