"""Random function bodies in the text format, over the index spaces of a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from linked_types import FunctionType, Spaces

# The locals that every function has behind its parameters, and how many more for the counters of loops.
LOCALS: Final = ("i32", "i32", "i64", "f64", "funcref", "externref")
LOOPS: Final = 3

TYPED: Final = "(ref null $unary)"
INTERESTING: Final = ("0", "1", "2", "3", "5", "7", "-1", "63", "255", "65535", "65536", "0x7fffffff", "0x80000000")
TOTAL: Final = ("add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr")
PARTIAL: Final = ("div_s", "div_u", "rem_s", "rem_u")
COMPARISONS: Final = ("eq", "ne", "lt_s", "lt_u", "gt_s", "ge_u", "le_s")

# A call costs fuel, and so does every turn of a loop.
PAY: Final = (
    "(if (i32.eqz (global.get $fuel)) (then (unreachable)))"
    "(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))"
)


class Body:
    """The body of one function."""

    def __init__(self, random: Random, spaces: Spaces, type: FunctionType) -> None:
        self.random = random
        self.spaces = spaces
        self.type = type
        self.locals = [*type.params, *LOCALS]
        self.loops = 0
        self.blocks = 0
        self.calls = random.choice((0, 1, 1, 2))  # few, or every call ends when the fuel does
        self.expressions: dict[str, tuple[Callable[[int], str], ...]] = {
            "i32": (self.i32_operation,) * 4
            + (self.i32_load, self.size, self.grow, self.test, self.caught, self.caught_all, self.choice_i32)
            + (self.narrowing,),
            "i64": (self.i64_operation, self.i64_operation, self.i64_load, self.widening),
            "f64": (self.f64_operation, self.f64_operation, self.conversion),
            "funcref": (self.function, self.function, self.element),
            "externref": (self.element,),
            TYPED: (self.function, self.element, self.cast),
        }
        if spaces.plain:
            self.expressions["i32"] = (*(self.i32_operation,) * 4, self.i32_load, self.size, self.grow, self.narrowing)

    def text(self) -> str:
        """The locals and the instructions."""
        statements = [self.statement(2) for _ in range(self.random.randint(1, 5))]
        counters = " ".join(["i32"] * LOOPS)
        return f"(local {' '.join(LOCALS)} {counters})\n    {PAY}\n    " + "\n    ".join([*statements, self.end()])

    def end(self) -> str:
        """The results, or a tail call that gives them."""
        same = [name for name, type in self.spaces.functions.items() if type.results == self.type.results]
        if same and not self.spaces.plain and self.random.random() < 0.15:
            return self.direct(self.random.choice(same), 2, "return_call")
        if not self.spaces.plain and self.random.random() < 0.1:
            call = self.indirect(self.type.results, 2, "return_")
            if call is not None:
                return call
        return " ".join(self.expression(type, 3) for type in self.type.results)

    # ------------------------------------------------------------------------------------------------ expressions

    def expression(self, type: str, depth: int) -> str:
        """An expression of this type."""
        if depth <= 0 or self.random.random() < 0.1:
            return self.leaf(type)
        if self.random.random() < 0.3:
            call = self.call((type,), depth - 1)
            if call is not None:
                return call
        chosen = self.random.choice(self.expressions[type])
        if type in ("funcref", "externref", TYPED):
            return self.reference(type, depth - 1, chosen)
        return chosen(depth - 1)

    def reference(self, type: str, depth: int, make: Callable[[int], str]) -> str:
        self.wanted = type
        return make(depth)

    def leaf(self, type: str) -> str:
        """A constant, a local or a global."""
        options = [f"(local.get {i})" for i, local in enumerate(self.locals) if local == type]
        options += [f"(global.get {name})" for name, kind in self.spaces.globals.items() if kind.value == type]
        if options and self.random.random() < 0.7:
            return self.random.choice(options)
        if type == "f64":
            return f"(f64.const {self.random.choice(('0', '-0', '1.5', '-2.25', '1e300', 'inf', '0x1p-1074', '1e10'))})"
        if type in ("i32", "i64"):
            return f"({type}.const {self.random.choice(INTERESTING)})"
        if type in ("funcref", TYPED) and self.random.random() < 0.7:
            return self.function_of(type)
        return f"(ref.null {'extern' if type == 'externref' else 'func' if type == 'funcref' else '$unary'})"

    def i32_operation(self, depth: int) -> str:
        operators = PARTIAL if self.random.random() < 0.1 else (*TOTAL, *COMPARISONS)
        a, b = self.expression("i32", depth), self.expression("i32", depth)
        return f"(i32.{self.random.choice(operators)} {a} {b})"

    def i64_operation(self, depth: int) -> str:
        operator = self.random.choice(TOTAL)
        return f"(i64.{operator} {self.expression('i64', depth)} {self.expression('i64', depth)})"

    def f64_operation(self, depth: int) -> str:
        operator = self.random.choice(("add", "sub", "mul", "div", "min", "max"))
        return f"(call $canonical (f64.{operator} {self.expression('f64', depth)} {self.expression('f64', depth)}))"

    def narrowing(self, depth: int) -> str:
        if self.random.random() < 0.5:
            return f"(i32.wrap_i64 {self.expression('i64', depth)})"
        return f"(i32.trunc_{self.random.choice(('sat_', 'sat_', ''))}f64_s {self.expression('f64', depth)})"

    def widening(self, depth: int) -> str:
        return f"(i64.extend_i32_{self.random.choice('su')} {self.expression('i32', depth)})"

    def conversion(self, depth: int) -> str:
        return f"(f64.convert_i32_{self.random.choice('su')} {self.expression('i32', depth)})"

    def address(self, depth: int) -> str:
        """An address, mostly inside."""
        if self.random.random() < 0.08:
            return self.expression("i32", depth)
        return f"(i32.and {self.expression('i32', depth)} (i32.const 0xfff))"

    def memory(self) -> str:
        return self.random.choice(list(self.spaces.memories)) if self.spaces.memories else ""

    def i32_load(self, depth: int) -> str:
        memory = self.memory()
        if not memory:
            return self.leaf("i32")
        name = self.random.choice(("load", "load8_u", "load8_s", "load16_s", "load16_u"))
        return f"(i32.{name} {memory} offset={self.random.randrange(16)} {self.address(depth)})"

    def i64_load(self, depth: int) -> str:
        memory = self.memory()
        if not memory:
            return self.leaf("i64")
        return f"(i64.{self.random.choice(('load', 'load32_s', 'load8_u'))} {memory} {self.address(depth)})"

    def size(self, depth: int) -> str:
        options = [f"(memory.size {name})" for name in self.spaces.memories]
        options += [f"(table.size {name})" for name in self.spaces.tables]
        return self.random.choice(options) if options else self.leaf("i32")

    def grow(self, depth: int) -> str:
        options = [f"(memory.grow {name} (i32.const {self.random.randrange(2)}))" for name in self.spaces.memories]
        for name, table in self.spaces.tables.items():
            amount = f"(i32.const {self.random.randrange(4)})"
            options.append(f"(table.grow {name} {self.expression(table.element, depth)} {amount})")
        return self.random.choice(options) if options else self.leaf("i32")

    def test(self, depth: int) -> str:
        if self.random.random() < 0.5 or not self.spaces.casts:
            return f"(ref.is_null {self.expression(self.random.choice(('funcref', 'externref')), depth)})"
        target = self.random.choice(list(self.spaces.types))
        null = self.random.choice(("", "null "))
        return f"(ref.test (ref {null}{target}) {self.expression('funcref', depth)})"

    def choice_i32(self, depth: int) -> str:
        a, b = self.expression("i32", depth), self.expression("i32", depth)
        return f"(if (result i32) {self.expression('i32', depth)} (then {a}) (else {b}))"

    def caught(self, depth: int) -> str:
        """What an exception carries, if one comes, and otherwise something else."""
        if not self.spaces.tags:
            return self.leaf("i32")
        tag, label = self.random.choice(list(self.spaces.tags)), self.label()
        inside = self.expression("i32", depth)
        return f"(block {label} (result i32) (try_table (result i32) (catch {tag} {label}) {inside}))"

    def caught_all(self, depth: int) -> str:
        out, handler = self.label(), self.label()
        inside = f"(try_table (catch_all {handler}) (br {out} {self.expression('i32', depth)}))"
        return f"(block {out} (result i32) (block {handler} {inside}) {self.leaf('i32')})"

    def label(self) -> str:
        self.blocks += 1
        return f"$b{self.blocks}"

    # ------------------------------------------------------------------------------------------------ references

    def function(self, depth: int) -> str:
        return self.function_of(self.wanted)

    def function_of(self, type: str) -> str:
        """A reference to a function, of the type `$unary` if it must be."""
        functions = [name for name, kind in self.spaces.functions.items() if type == "funcref" or kind.name == "$unary"]
        if not functions:
            return f"(ref.null {'func' if type == 'funcref' else '$unary'})"
        chosen = self.random.choice(functions)
        self.spaces.declared.add(chosen)
        return f"(ref.func {chosen})"

    def element(self, depth: int) -> str:
        type = self.wanted
        tables = [name for name, table in self.spaces.tables.items() if table.element == type]
        if not tables:
            return self.leaf(type)
        return f"(table.get {self.random.choice(tables)} {self.position(depth)})"

    def cast(self, depth: int) -> str:
        if self.random.random() < 0.95 or not self.spaces.casts:
            return self.leaf(TYPED)
        return f"(ref.cast {TYPED} {self.expression('funcref', depth)})"

    def position(self, depth: int) -> str:
        """A position in a table, mostly inside."""
        if self.random.random() < 0.1:
            return f"(i32.and {self.expression('i32', depth)} (i32.const 7))"
        return f"(i32.and {self.expression('i32', depth)} (i32.const 3))"

    # ------------------------------------------------------------------------------------------------ calls

    def call(self, results: tuple[str, ...], depth: int) -> str | None:
        """A call that gives these results, if there is something to call."""
        if not self.calls:
            return None
        self.calls -= 1
        functions = [name for name, type in self.spaces.functions.items() if type.results == results]
        if functions and self.random.random() < 0.5:
            return self.direct(self.random.choice(functions), depth)
        return self.indirect(results, depth)

    def direct(self, name: str, depth: int, instruction: str = "call") -> str:
        return f"({instruction} {name} {self.arguments(self.spaces.functions[name], depth)})"

    def indirect(self, results: tuple[str, ...], depth: int, prefix: str = "") -> str | None:
        """A call through a table or a reference; most ask first which type it must be of."""
        types = [type for type in self.spaces.types.values() if type.results == results]
        if not types:
            return None
        type = self.random.choice(types)
        callee = "" if self.spaces.plain else self.callee(type, depth)
        tables = [name for name, table in self.spaces.tables.items() if table.element == "funcref"]
        if type.name == "$unary":
            tables += [name for name, table in self.spaces.tables.items() if table.element == TYPED]
        if callee and (not tables or self.random.random() < 0.3):
            return f"({prefix}call_ref {type.name} {self.arguments(type, depth)} {callee})"
        if not tables:
            return None
        table = self.random.choice(tables)
        if not self.spaces.casts or self.random.random() < 0.1:
            arguments = self.arguments(type, depth)
            return f"({prefix}call_indirect {table} (type {type.name}) {arguments} {self.position(depth)})"
        if self.spaces.tables[table].element == "funcref":
            return self.fitting(self.random.sample(types, min(len(types), 3)), table, depth, prefix)
        return self.fitting([type], table, depth, prefix)

    def fitting(self, types: list[FunctionType], table: str, depth: int, prefix: str) -> str:
        """A call of an element as the first of these types that it has, subtypes included."""
        position = f"(i32.const {self.random.randrange(4)})"
        results = types[0].results
        text = " ".join(self.leaf(result) for result in results)
        for type in types:
            test = f"(ref.test (ref {type.name}) (table.get {table} {position}))"
            call = f"({prefix}call_indirect {table} (type {type.name}) {self.arguments(type, depth)} {position})"
            text = f"(if (result {' '.join(results)}) {test} (then {call}) (else {text}))"
        return text

    def callee(self, type: FunctionType, depth: int) -> str:
        """A reference to a function of a type, now and then of one that must be cast to it; empty if there is none."""
        if self.spaces.casts and self.random.random() < 0.05:
            return f"(ref.cast (ref null {type.name}) {self.expression('funcref', depth)})"
        functions = [name for name, kind in self.spaces.functions.items() if kind == type]
        if not functions:
            return ""
        chosen = self.random.choice(functions)
        self.spaces.declared.add(chosen)
        return f"(ref.func {chosen})"

    def arguments(self, type: FunctionType, depth: int) -> str:
        return " ".join(self.expression(param, depth) for param in type.params)

    # ------------------------------------------------------------------------------------------------ statements

    def statement(self, depth: int) -> str:
        """An instruction sequence that leaves nothing behind."""
        options = [self.set_local, self.set_global, self.store, self.set_element, self.bulk_table, self.bulk_memory]
        options += [self.action, self.action, self.pair, self.throw]
        if depth > 0:
            options += [self.conditional, self.loop, self.early_return]
        return self.random.choice(options)(depth)

    def nothing(self) -> str:
        return "(nop)"

    def set_local(self, depth: int) -> str:
        chosen = self.random.randrange(len(self.locals))
        return f"(local.set {chosen} {self.expression(self.locals[chosen], 3)})"

    def set_global(self, depth: int) -> str:
        options = [(name, type) for name, type in self.spaces.globals.items() if type.mutable]
        if not options:
            return self.nothing()
        name, type = self.random.choice(options)
        return f"(global.set {name} {self.expression(type.value, 2)})"

    def store(self, depth: int) -> str:
        memory = self.memory()
        if not memory:
            return self.nothing()
        instruction, type = self.random.choice(
            (("store", "i32"), ("store8", "i32"), ("store", "i64"), ("store", "f64"))
        )
        return f"({type}.{instruction} {memory} {self.address(2)} {self.expression(type, 2)})"

    def set_element(self, depth: int) -> str:
        if not self.spaces.tables:
            return self.nothing()
        name, table = self.random.choice(list(self.spaces.tables.items()))
        return f"(table.set {name} {self.position(2)} {self.expression(table.element, 2)})"

    def bulk_table(self, depth: int) -> str:
        tables = [(name, table) for name, table in self.spaces.tables.items()]
        if not tables:
            return self.nothing()
        name, table = self.random.choice(tables)
        options = [f"(table.fill {name} {self.numbers(1, 4)} {self.expression(table.element, 2)} {self.numbers(1, 3)})"]
        alike = [other for other, type in tables if type.element == table.element]
        options.append(f"(table.copy {name} {self.random.choice(alike)} {self.numbers(3, 3)})")
        if table.element == "funcref" and self.spaces.elements:
            segment = self.random.choice(self.spaces.elements)
            options += [f"(table.init {name} {segment} {self.numbers(3, 2)})", f"(elem.drop {segment})"]
        return self.random.choice(options)

    def bulk_memory(self, depth: int) -> str:
        memory = self.memory()
        if not memory:
            return self.nothing()
        options = [f"(memory.fill {memory} {self.address(1)} {self.expression('i32', 1)} {self.numbers(1, 40)})"]
        options.append(
            f"(memory.copy {memory} {self.memory()} {self.address(1)} {self.address(1)} {self.numbers(1, 40)})"
        )
        if self.spaces.data:
            segment = self.random.choice(self.spaces.data)
            options += [
                f"(memory.init {memory} {segment} {self.address(1)} {self.numbers(2, 4)})",
                f"(data.drop {segment})",
            ]
        return self.random.choice(options)

    def numbers(self, count: int, bound: int) -> str:
        return " ".join(f"(i32.const {self.random.randrange(bound)})" for _ in range(count))

    def action(self, depth: int) -> str:
        return self.call((), 2) or self.nothing()

    def pair(self, depth: int) -> str:
        call = self.call(("i32", "i64"), 2)
        if call is None:
            return self.nothing()
        first = len(self.type.params)
        return f"{call} (local.set {first + 2}) (local.set {first})"

    def throw(self, depth: int) -> str:
        if not self.spaces.tags or self.random.random() < 0.5:
            return self.nothing()
        tag = self.random.choice(list(self.spaces.tags))
        return f"(if {self.expression('i32', 1)} (then (throw {tag} {self.expression('i32', 2)})))"

    def conditional(self, depth: int) -> str:
        then, otherwise = self.statement(depth - 1), self.statement(depth - 1)
        return f"(if {self.expression('i32', 2)} (then {then}) (else {otherwise}))"

    def loop(self, depth: int) -> str:
        if self.loops == LOOPS:
            return self.nothing()
        counter = len(self.locals) + self.loops
        self.loops += 1
        label, turns = self.label(), self.random.randint(1, 5)
        step = f"(local.tee {counter} (i32.add (local.get {counter}) (i32.const 1)))"
        body = f"{PAY} {self.statement(depth - 1)} {self.statement(depth - 1)}"
        start = f"(local.set {counter} (i32.const 0))"
        return f"{start} (loop {label} {body} (br_if {label} (i32.lt_u {step} (i32.const {turns}))))"

    def early_return(self, depth: int) -> str:
        results = " ".join(self.expression(type, 2) for type in self.type.results)
        return f"(if {self.expression('i32', 2)} (then (return {results})))"
