"""Random instruction sequences: a function body that keeps a deep operand stack, in the text format without parentheses.

What is on the stack stays there until something of its type is wanted, or is carried by a block, a branch or an exception.
Everything that numbers can do is drawn from the table of instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wasmine.format.instructions import INSTRUCTIONS, Immediate, Instruction

if TYPE_CHECKING:
    from random import Random

    from composed import Module, Signature, Table

NUMBERS: Final = ("i32", "i64", "f32", "f64", "v128")
TYPES: Final = (*NUMBERS, "funcref", "externref", "exnref")
WEIGHTS: Final = (6, 4, 2, 3, 3, 1, 1, 1)
NULLS: Final = {"funcref": "func", "externref": "extern", "exnref": "exn"}

_LETTERS: Final = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128", "a": "address"}
_LANES: Final = {"i8": 16, "i16": 8, "i32": 4, "i64": 2, "f32": 4, "f64": 2}
_INTEGERS: Final = (0, 1, 2, 3, 5, 7, 8, 10, 31, 32, 63, 64, 100, 127, 128, 255, 256, 65535, 65536)
_EDGES: Final = tuple(1 << n for n in (7, 15, 16, 31, 32, 63, 64))
_FLOATS: Final = (
    "0",
    "-0",
    "1",
    "-1.5",
    "2.25",
    "1e10",
    "-1e-10",
    "inf",
    "-inf",
    "nan",
    "0x1p-126",
    "0x1p31",
    "-0x1p63",
)
_BULK: Final = 40

# What can never run, and only has to be valid.
_DEAD: Final = (
    "i32.add drop",
    "block (param i32) (result i32) i32.eqz end select drop",
    "block br 0 end",
    "loop (result i64) i64.const 1 br 0 end drop",
    "if unreachable else nop end",
    "i32.const 1 if (result f64) f64.const 1 else unreachable end drop",
    "block (result v128) block try_table (result v128) (catch_all 0) v128.const i64x2 1 2 end drop br 0 end unreachable end drop",
    "ref.is_null drop",
    "ref.as_non_null drop",
    "drop drop return",
)

# A call costs fuel, and so does every turn of a loop.
PAY: Final = (
    "(if (i32.eqz (global.get $fuel)) (then (unreachable))) "
    "(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))"
)


def _types(letters: str) -> tuple[str, ...]:
    return tuple(_LETTERS[letter] for letter in letters)


class _Catalogue:
    """The instructions of the table that need nothing but operands: by result, and what may trap apart."""

    def __init__(self) -> None:
        self.plain: dict[str, list[Instruction]] = {type: [] for type in NUMBERS}
        self.partial: dict[str, list[Instruction]] = {type: [] for type in NUMBERS}
        self.loads: dict[str, list[Instruction]] = {type: [] for type in NUMBERS}
        self.stores: list[Instruction] = []
        for row in INSTRUCTIONS:
            if row.params is None or row.feature in ("gc", "relaxed_simd", "wide_arithmetic"):
                continue
            kinds = {immediate.kind for immediate in row.immediates}
            if "memarg" in kinds and "wait" not in row.name:
                if row.results:
                    self.loads[_LETTERS[row.results]].append(row)
                else:
                    self.stores.append(row)
            elif row.params and not kinds - {"lane", "lanes"} and len(row.results or "") == 1:
                trapping = row.name.partition(".")[2].startswith(("div_", "rem_", "trunc_f"))
                table = self.partial if trapping else self.plain
                table[_LETTERS[row.results]].append(row)  # type: ignore[index]


CATALOGUE: Final = _Catalogue()


@dataclass
class Frame:
    """An open block: what a branch to it carries, what it leaves, how many operands lie below it."""

    name: str
    carried: tuple[str, ...]
    results: tuple[str, ...]
    height: int
    is_loop: bool = False
    catches: bool = False  # a legacy `catch` part


class Body:
    """The body of one function."""

    def __init__(self, random: Random, module: Module, signature: Signature) -> None:
        self.random = random
        self.module = module
        self.signature = signature
        self.locals = [*signature.params, *self._some(random.choice((0, 3, 8, 8, 20, 60)))]
        self.lines: list[str] = []
        self.stack: list[str] = []
        self.frames: list[Frame] = []
        self.names = 0
        self.calls = random.choice((0, 1, 1, 2, 3))
        self.budget = random.choice((5, 15, 30, 60))
        self.dead = False
        self.taken = 0  # operands that wait for others
        # How often values stay on the stack, and whether there is hardly anything but such.
        self.hoard = random.choice((random.random(), 1))
        self.straight = random.random() < 0.3

    def text(self) -> str:
        """The locals and the instructions."""
        self._open("function", (), self.signature.results)
        self._sequence(self.random.randint(1, self.budget), 4)
        self._finish()
        extra = " ".join(self.locals[len(self.signature.params) :])
        scratch = "(local $canon-f32 f32) (local $canon-f64 f64) (local $canon-v128 v128)"
        return f"(local {extra}) {scratch}\n    {PAY}\n    " + "\n    ".join(self.lines)

    # ------------------------------------------------------------------------------------------------ small things

    def _some(self, count: int) -> tuple[str, ...]:
        return tuple(self.random.choices(TYPES, WEIGHTS, k=count))

    def _maybe(self, probability: float) -> bool:
        return self.random.random() < probability

    def _emit(self, line: str) -> None:
        self.lines.append(line)

    def _operator(self, line: str, params: int, *results: str) -> None:
        """An instruction that takes so many operands."""
        self._emit(line)
        if params:
            del self.stack[-params:]
        self.stack += results

    def _name(self) -> str:
        self.names += 1
        return f"$b{self.names}"

    @property
    def _available(self) -> list[str]:
        """The operands of the innermost block that nothing waits for."""
        return self.stack[max(self.frames[-1].height, self.taken) :]

    def _held(self, types: Sequence[str]) -> bool:
        """Whether these are the topmost operands."""
        return not types or self._available[-len(types) :] == list(types)

    # ------------------------------------------------------------------------------------------------ values

    def operands(self, types: Sequence[str], depth: int) -> None:
        """Operands of these types on top: the first of them may be there already."""
        for count in range(len(types), 0, -1):
            if self._held(types[:count]) and self._maybe(0.6):
                types = types[count:]
                break
        for type in types:
            self.value(type, depth)

    def value(self, type: str, depth: int) -> None:
        """Push a value, which is made of nothing that is on the stack."""
        before = self.taken
        self.taken = len(self.stack)
        self._produce(type, depth)
        self.taken = before

    def _produce(self, type: str, depth: int) -> None:
        """Push a value, which may be made of what is on the stack."""
        if depth <= 0 or self._maybe(0.3):
            self._leaf(type)
            return
        if self.calls and self._maybe(0.1) and self._call_for((type,), depth - 1):
            return
        if self._maybe(0.06) and len(self.frames) < 6:
            self._block((type,), depth - 1)
        elif self._maybe(0.1):
            self._select(type, depth - 1)
        elif type not in NUMBERS:
            self._reference(type, depth - 1)
        elif self.module.memories and self._maybe(0.2):
            self._load(type, depth - 1)
        else:
            self._compute(type, depth - 1)

    def _leaf(self, type: str) -> None:
        options = [f"local.get {i}" for i, local in enumerate(self.locals) if local == type]
        if options and self._maybe(0.7):
            self._operator(self.random.choice(options), 0, type)
            return
        options = [f"global.get {name}" for name, found in self.module.globals.items() if found.value == type]
        if options and self._maybe(0.3):
            self._operator(self.random.choice(options), 0, type)
        elif type == "v128":
            self._operator(f"v128.const i64x2 {self._integer('i64')} {self._integer('i64')}", 0, type)
        elif type in ("i32", "i64"):
            self._operator(f"{type}.const {self._integer(type)}", 0, type)
        elif type in ("f32", "f64"):
            self._operator(f"{type}.const {self.random.choice(_FLOATS)}", 0, type)
        elif type == "funcref" and self.module.functions and self._maybe(0.7):
            self._operator(f"ref.func {self.random.choice(list(self.module.functions))}", 0, type)
        else:
            self._operator(f"ref.null {NULLS[type]}", 0, type)

    def _integer(self, type: str) -> int:
        bits = int(type[1:])
        number = self.random.choice(
            (
                self.random.choice(_INTEGERS),
                self.random.choice(_EDGES) + self.random.randint(-2, 1),
                self.random.getrandbits(bits),
            )
        )
        number = (-number if self._maybe(0.3) else number) % (1 << bits)
        return number - (number >> bits - 1 << bits)

    def _compute(self, type: str, depth: int) -> None:
        """A row of the table of instructions with this result."""
        partial = CATALOGUE.partial[type]
        rows = partial if partial and self._maybe(0.01) else CATALOGUE.plain[type]
        # Vectors have so many that scalars would be rare among what gives an i32.
        row = self.random.choice(rows)
        if "v" in (row.params or "") and type != "v128" and self._maybe(0.6):
            row = self.random.choice(rows)
        if partial and self._maybe(0.03):
            row = self.random.choice(partial)
            if "trunc" not in row.name:
                # With a divisor that is not 0.
                self.value(type, depth)
                self._operator(f"{type}.const {self.random.choice((3, 10, -7, 1, 1 << 16))}", 0, type)
                self._operator(row.name, 2, type)
                return
            row = self.random.choice(rows)
        params = _types(row.params or "")
        self.operands(params, depth)
        if "reinterpret_f" in row.name or "copysign" in row.name:
            self._canonicalize()
        immediates = "".join(f" {self._immediate(immediate)}" for immediate in row.immediates)
        self._operator(row.name + immediates, len(params), type)
        shape, _, short = row.name.partition(".")
        if type == "v128" and shape in ("f32x4", "f64x2") and short not in ("eq", "ne", "lt", "gt", "le", "ge"):
            self._canonicalize_lanes(shape)

    def _immediate(self, immediate: Immediate) -> str:
        if immediate.kind == "lanes":
            return " ".join(str(self.random.randrange(32)) for _ in range(16))
        return str(self.random.randrange(immediate.bound))

    def _canonicalize(self) -> None:
        """What a NaN is made of is for an implementation to say: before its bits can be seen it becomes the canonical one."""
        type = self.stack[-1]
        if type in ("f32", "f64"):
            name = f"$canon-{type}"
            self._emit(f"local.tee {name} {type}.const nan local.get {name} local.get {name} {type}.eq select")

    def _canonicalize_lanes(self, shape: str) -> None:
        nan = f"v128.const {shape} {'nan ' * int(shape[-1])}"
        get = "local.get $canon-v128"
        self._emit(f"local.tee $canon-v128 {nan} {get} {get} {shape}.eq v128.bitselect")

    def _select(self, type: str, depth: int) -> None:
        self.operands((type, type, "i32"), depth)
        typed = type not in NUMBERS or self._maybe(0.3)
        self._operator(f"select (result {type})" if typed else "select", 3, type)

    # ------------------------------------------------------------------------------------------------ memories

    def _address(self, memory: str, depth: int, mask: int = 0xFFF) -> None:
        """An address or an index, mostly inside."""
        type = self.module.memories[memory].address
        if self._maybe(0.2):
            self._operator(f"{type}.const {self.random.randrange(0x1000) & mask}", 0, type)
            return
        self.value(type, depth)
        if not self._maybe(0.01):
            self._emit(f"{type}.const {mask} {type}.and")
            if self._maybe(0.2) and mask & 1:
                self._emit(f"{type}.const {self.random.randrange(1, 4)} {type}.shl")

    def _access(self, row: Instruction, depth: int) -> None:
        memory = self.random.choice(list(self.module.memories))
        atomic = "atomic" in row.name
        self._address(memory, depth, 0xFF8 if atomic and not self._maybe(0.02) else 0xFFF)
        for type in _types((row.params or "")[1:]):
            self.value(type, depth)
            self._canonicalize()
        wide = self.module.memories[memory].address == "i64"
        offset = self.random.choice((0, 0, 8, 64, self.random.randrange(64) * 8))
        if not atomic:
            offset += self.random.randrange(3)
        if self._maybe(0.003):
            offset = self.random.choice((65536, (1 << 31) - 64, 1 << 31, (1 << 32) - 8))
            if wide:
                offset = self.random.choice((offset, 1 << 32, 1 << 63, (1 << 64) - 8))
        lanes = [self._immediate(immediate) for immediate in row.immediates if immediate.kind != "memarg"]
        place = f"{memory} offset={offset}" if offset or self._maybe(0.5) else memory
        results = _types(row.results or "")
        self._operator(" ".join((row.name, place, *lanes)), len(row.params or ""), *results)

    def _load(self, type: str, depth: int) -> None:
        self._access(self.random.choice(CATALOGUE.loads[type]), depth)

    def _store(self, depth: int) -> None:
        if self.module.memories:
            self._access(self.random.choice(CATALOGUE.stores), depth)

    def _bulk_memory(self, depth: int) -> None:
        memories = self.module.memories
        if not memories:
            return
        memory, source = self.random.choice(list(memories)), self.random.choice(list(memories))
        address = memories[memory].address
        choice = self.random.randrange(6)
        if choice == 0:
            self._address(memory, depth)
            self.value("i32", depth)
            self._amount(address, depth)
            self._operator(f"memory.fill {memory}", 3)
        elif choice <= 2:
            self._address(memory, depth)
            self._address(source, depth)
            wide = address == memories[source].address == "i64"
            self._amount("i64" if wide else "i32", depth)
            self._operator(f"memory.copy {memory} {source}", 3)
        elif choice == 3 and self.module.data:
            self._address(memory, depth)
            self._operator(f"i32.const {self.random.randrange(5)}", 0, "i32")
            self._operator(f"i32.const {self.random.randrange(4)}", 0, "i32")
            self._operator(f"memory.init {memory} {self.random.choice(self.module.data)}", 3)
        elif choice == 4 and self.module.data and self._maybe(0.2):
            self._emit(f"data.drop {self.random.choice(self.module.data)}")
        else:
            self._operator(f"{address}.const {self.random.randrange(2)}", 0, address)
            self._operator(f"memory.grow {memory}", 1, address)

    def _amount(self, type: str, depth: int) -> None:
        self.value(type, depth)
        self._emit(f"{type}.const 63 {type}.and")

    # ------------------------------------------------------------------------------------------------ references, tables

    def _reference(self, type: str, depth: int) -> None:
        tables = [name for name, table in self.module.tables.items() if table.element == type]
        if tables and self._maybe(0.6):
            table = self.random.choice(tables)
            self._index(table, depth)
            self._operator(f"table.get {table}", 1, type)
        else:
            self._leaf(type)

    def _index(self, table: str, depth: int, mask: int = 7) -> None:
        type = self.module.tables[table].address
        self.value(type, depth)
        self._emit(f"{type}.const {mask} {type}.and")

    def _write_index(self, table: str, depth: int) -> None:
        """A place in a table that is not for calls."""
        self._index(table, depth)
        type = self.module.tables[table].address
        self._emit(f"{type}.const 8 {type}.add")

    def _bulk_table(self, depth: int) -> None:
        tables = self.module.tables
        if not tables:
            return
        name = self.random.choice(list(tables))
        table = tables[name]
        choice = self.random.randrange(6)
        few = self.random.randrange(3)
        if choice == 0:
            self._write_index(name, depth)
            self.value(table.element, depth)
            self._operator(f"table.set {name}", 2)
        elif choice == 1:
            self._write_index(name, depth)
            self.value(table.element, depth)
            self._operator(f"{table.address}.const {few}", 0, table.address)
            self._operator(f"table.fill {name}", 3)
        elif choice == 2:
            source = self.random.choice([other for other in tables if tables[other].element == table.element])
            self._write_index(name, depth)
            self._index(source, depth)
            type = "i64" if table.address == tables[source].address == "i64" else "i32"
            self._operator(f"{type}.const {few}", 0, type)
            self._operator(f"table.copy {name} {source}", 3)
        elif choice == 3 and table.element == "funcref" and self.module.elements:
            self._write_index(name, depth)
            self._operator(f"i32.const {self.random.randrange(2)}", 0, "i32")
            self._operator(f"i32.const {self.random.randrange(2)}", 0, "i32")
            self._operator(f"table.init {name} {self.random.choice(self.module.elements)}", 3)
        elif choice == 4:
            self.value(table.element, depth)
            self._operator(f"{table.address}.const {few}", 0, table.address)
            self._operator(f"table.grow {name}", 2, table.address)
        else:
            self._operator(f"table.size {name}", 0, table.address)

    # ------------------------------------------------------------------------------------------------ calls

    def _call_for(self, results: tuple[str, ...], depth: int) -> bool:
        """A call that gives these, if there is something to call."""
        found = [name for name, signature in self.module.functions.items() if signature.results == results]
        if not found:
            return False
        self._call(self.random.choice(found), depth)
        return True

    def _call(self, name: str, depth: int, prefix: str = "") -> None:
        """A call of a function, or of another one of its type through a reference or a table."""
        self.calls -= bool(self.calls)
        signature = self.module.functions[name]
        self.operands(signature.params, min(depth, 2))
        count = len(signature.params)
        places = [
            (table, place)
            for table, found in self.module.tables.items()
            for place, other in enumerate(found.signatures)
            if other == signature
        ]
        choice = self.random.random()
        if places and choice < 0.4:
            table, place = self.random.choice(places)
            self._place(self.module.tables[table], place)
            self._operator(f"{prefix}call_indirect {table} (type {signature.name})", count + 1, *signature.results)
        elif choice < 0.6:
            self._emit(f"ref.func {name}")
            self._operator(f"{prefix}call_ref {signature.name}", count, *signature.results)
        elif choice < 0.62:
            self._emit(f"ref.null {signature.name}")
            self._operator(f"{prefix}call_ref {signature.name}", count, *signature.results)
        else:
            self._operator(f"{prefix}call {name}", count, *signature.results)
        if prefix:
            self.dead = True

    def _place(self, table: Table, place: int) -> None:
        """The index of an element that is known to be a function."""
        type = table.address
        if self._maybe(0.5):
            self._operator(f"{type}.const {place}", 0, type)
            return
        self.value(type, 1)
        self._emit(f"{type}.const 0 {type}.and {type}.const {place} {type}.or")

    def _any_call(self, depth: int) -> None:
        if self.calls and self.module.functions:
            self._call(self.random.choice(list(self.module.functions)), depth)

    def _tail_call(self, depth: int) -> None:
        same = [name for name, s in self.module.functions.items() if s.results == self.signature.results]
        if same:
            self._call(self.random.choice(same), depth, "return_")

    # ------------------------------------------------------------------------------------------------ control

    def _open(self, name: str, params: tuple[str, ...], results: tuple[str, ...], *, is_loop: bool = False) -> Frame:
        carried = params if is_loop else results
        frame = Frame(name, carried, results, len(self.stack) - len(params), is_loop)
        self.frames.append(frame)
        return frame

    def _sequence(self, count: int, depth: int) -> None:
        """Statements, as long as they can be reached."""
        for _ in range(count):
            if self.dead or self.budget < 0:
                break
            self.budget -= 1
            self._statement(depth)

    def _statement(self, depth: int) -> None:
        if self.straight and self._maybe(0.8):
            self.random.choice((self._push, self._push, self._push, self._branch))(depth)
            return
        options: list[Callable[[int], None]] = [
            *(self._push,) * 6,
            *(self._sink,) * 4,
            *(self._store,) * 2,
            *(self._any_call,) * 2,
            self._bulk_memory,
            self._bulk_table,
            self._throw,
        ]
        if depth > 0:
            options += [self._any_block] * 3 + [self._try] * 2 + [self._branch] * 3
            if self.module.legacy:
                options += [self._legacy_try] * 3
        self.random.choice(options)(depth)

    def _push(self, depth: int) -> None:
        if len(self.stack) < _BULK:
            self._produce(self._some(1)[0], self.random.randint(0, 4))
        if not self._maybe(self.hoard):
            self._sink(depth)

    def _sink(self, _: int = 0) -> None:
        """Take the topmost operand away, most often to where it can be seen."""
        if not self._available:
            return
        type = self.stack[-1]
        targets = [f"local.set {i}" for i, local in enumerate(self.locals) if local == type]
        tees = [f"local.tee {i}" for i, local in enumerate(self.locals) if local == type]
        sets = [f"global.set {n}" for n, g in self.module.globals.items() if g.value == type and g.mutable]
        choice = self.random.random()
        if tees and choice < 0.1:
            self._emit(self.random.choice(tees))
        elif targets and choice < 0.6:
            self._operator(self.random.choice(targets), 1)
        elif sets and choice < 0.9:
            self._canonicalize()
            self._operator(self.random.choice(sets), 1)
        else:
            self._operator("drop", 1)

    def _finish(self) -> None:
        """The results of the innermost block, and nothing else, on the stack."""
        frame = self.frames[-1]
        missing = frame.results
        if self.dead:
            if self._maybe(0.3):
                self._emit(self.random.choice(_DEAD))
        elif self._maybe(0.3) and not frame.is_loop:
            # What lies below is left behind.
            self.operands(missing, 1)
            self._emit("return" if frame.name == "function" else f"br {frame.name}")
        else:
            while self._available != list(missing[: len(self._available)]):
                self._sink()
            for type in missing[len(self._available) :]:
                self.value(type, 1)
        self.frames.pop()
        self.dead = False
        self.stack[frame.height :] = frame.results

    def _any_block(self, depth: int) -> None:
        self._block(self._some(self.random.choice((0, 1, 1, 2, 3))), depth - 1)

    def _block(self, results: tuple[str, ...], depth: int) -> None:
        """A block, a loop or an if, with parameters."""
        kind = self.random.choice(("block", "loop", "if", "if"))
        if kind == "if":
            self.value("i32", 2)
        count = self.random.randint(0, min(3, len(self._available) - (kind == "if")))
        if kind == "if":
            self.stack.pop()
        params = tuple(self.stack[len(self.stack) - count :])
        name = self._name()
        self._emit(f"{kind} {name} (param {' '.join(params)}) (result {' '.join(results)})")
        frame = self._open(name, params, results, is_loop=kind == "loop")
        if kind == "loop":
            self._emit(PAY)
        self._sequence(self.random.randint(1, 6), depth)
        if kind == "loop" and not self.dead and self._maybe(0.5):
            self.operands((*params, "i32"), 1)
            self._emit(f"br_if {name}")
            self.stack.pop()
        self._finish()
        if kind == "if" and (params != results or self._maybe(0.7)):
            self._emit("else")
            self.stack[frame.height :] = params
            self._open(name, params, results)
            self._sequence(self.random.randint(1, 5), depth)
            self._finish()
        self._emit("end")

    def _branch(self, depth: int) -> None:
        """A branch of any kind."""
        frame = self.random.choice(self.frames)
        target = "0" if frame.name == "function" else frame.name
        if frame.name == "function":
            target = str(len(self.frames) - 1)
        choice = self.random.randrange(8)
        if choice < 4:
            self.operands((*frame.carried, "i32"), 2)
            self._operator(f"br_if {target}", 1)
        elif choice == 4:
            self._branch_by_table(frame)
        elif choice == 5 and self._maybe(0.4):
            self.operands(frame.carried, 2)
            self._emit(f"br {target}" if frame.name != "function" or self._maybe(0.5) else "return")
            self.dead = True
        elif choice == 6:
            self._branch_on_null(frame, target, depth)
        elif self._maybe(0.3):
            self._tail_call(depth)

    def _branch_by_table(self, frame: Frame) -> None:
        like = [i for i, other in enumerate(reversed(self.frames)) if other.carried == frame.carried]
        targets = self.random.choices(like, k=self.random.choice((1, 2, 3, 5, 9)))
        self.operands((*frame.carried, "i32"), 2)
        if self._maybe(0.8):
            self._emit(f"i32.const {self.random.choice((1, 3, 7, 15))} i32.and")
        self._emit(f"br_table {' '.join(map(str, targets))}")
        self.dead = True

    def _branch_on_null(self, frame: Frame, target: str, depth: int) -> None:
        type = self.random.choice(("funcref", "externref", "exnref"))
        self.operands((*frame.carried, type), 2)
        if frame.carried and frame.carried[-1] == type and self._maybe(0.5):
            # The branch takes the reference along as the last value.
            self._emit("drop")
            self.stack.pop()
            self._operator(f"br_on_non_null {target}", 1)
            return
        self._emit(f"br_on_null {target}")
        if self._maybe(0.3):
            self._emit("ref.as_non_null")
        self._operator("ref.is_null", 1, "i32")

    # ------------------------------------------------------------------------------------------------ exceptions

    def _throw(self, depth: int) -> None:
        tags = self.module.tags
        if not tags or not self._maybe(0.3 if any(frame.name.startswith("$try") for frame in self.frames) else 0.03):
            return
        caught = [frame.name for frame in self.frames if frame.catches]
        if caught and self._maybe(0.5):
            self._emit(f"rethrow {self.random.choice(caught)}")
        elif self._maybe(0.2) and self._held(("exnref",)):
            self._emit("throw_ref")
        else:
            tag = self.random.choice(list(tags))
            for type in tags[tag].params:
                self.value(type, min(depth, 2))
                self._canonicalize()
            self._emit(f"throw {tag}")
        self.dead = True

    def _try(self, depth: int) -> None:
        """A try block in the blocks of its handlers; some clauses go to blocks outside, loops and the function included."""
        results = self._some(self.random.choice((0, 1, 1, 2)))
        clauses: list[str] = []
        handlers: list[tuple[str, tuple[str, ...]]] = []
        outer = list(self.frames)
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            kind = self.random.choice(("catch", "catch", "catch_ref", "catch_all", "catch_all_ref"))
            if "all" not in kind and not self.module.tags:
                continue
            tag = self.random.choice(list(self.module.tags)) if "all" not in kind else ""
            types = self.module.tags[tag].params if tag else ()
            types = (*types, "exnref") if "ref" in kind else types
            known = [frame.name for frame in outer if frame.carried == types]
            if known and self._maybe(0.5):
                target = self.random.choice(known)
            else:
                target = self._name()
                handlers.append((target, types))
            clauses.append(f"({kind} {tag} {target})")
        out = self._name()
        self._emit(f"block {out} (result {' '.join(results)})")
        self._open(out, (), results)
        for name, types in reversed(handlers):
            self._emit(f"block {name} (result {' '.join(types)})")
            self._open(name, (), types)
        params = self._some(self.random.choice((0, 0, 1, 2)))
        self.operands(params, 1)
        name = self._name().replace("$b", "$try")
        listed = " ".join(clauses).replace("function", str(len(self.frames) - 1))
        self._emit(f"try_table {name} (param {' '.join(params)}) (result {' '.join(results)}) {listed}")
        self._open(name, params, results)
        self._sequence(self.random.randint(1, 6), depth - 1)
        self._any_call_in_try(depth)
        self._finish()
        self._emit("end")
        for _ in handlers:
            # The results go around the handler, whose block leaves what was thrown.
            if not self.dead:
                self.operands(results, 1)
            self._emit(f"br {out}")
            self.dead = True
            self._finish()
            self._emit("end")
            if self._maybe(0.3):
                self._sequence(2, depth - 1)
        self._finish()
        self._emit("end")

    def _legacy_try(self, depth: int) -> None:
        """A `try` with its catch parts, or one that delegates."""
        results = self._some(self.random.choice((0, 1, 1, 2)))
        count = self.random.randint(0, min(2, len(self._available)))
        params = tuple(self.stack[len(self.stack) - count :])
        name = self._name().replace("$b", "$try")
        self._emit(f"try {name} (param {' '.join(params)}) (result {' '.join(results)})")
        frame = self._open(name, params, results)
        self._sequence(self.random.randint(1, 6), depth - 1)
        self._any_call_in_try(depth)
        self._finish()
        if self._maybe(0.3):
            target = self.random.choice(self.frames)
            self._emit(f"delegate {target.name if target.name != 'function' else len(self.frames) - 1}")
            return
        tags = list(self.module.tags)
        parts = [(f"catch {tag}", self.module.tags[tag].params) for tag in self.random.sample(tags, min(len(tags), 2))]
        if self._maybe(0.5):
            parts.append(("catch_all", ()))
        for part, types in parts:
            self._emit(part)
            self.stack[frame.height :] = types
            self._open(name, types, results).catches = True
            self._sequence(self.random.randint(1, 4), depth - 1)
            self._finish()
        self._emit("end")

    def _any_call_in_try(self, depth: int) -> None:
        if not self.dead and self._maybe(0.5):
            self.calls = max(self.calls, 1)
            self._any_call(depth)
