"""Lowerings of the table instructions. The table of index 0 is `T0`, the list of its elements, or `Z0`, the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.format.types import I32, I64
from wasmine.interpreter.operand import CALLS, PRIMARY, TABLES, TRAPS, W32, W64, Operand

if TYPE_CHECKING:
    from wasmine.format.types import NumberType, ValueType
    from wasmine.interpreter.lowering import Handler, Lowering


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    stack = lowering.stack
    tables = lowering.context.tables

    def elements(table: int) -> str:
        return lowering.need("T", "table", table)

    def mask(table: int) -> int:
        return W64.mask if tables[table].address is I64 else W32.mask

    def call(name: str, leading: str, types: tuple[ValueType, ...]) -> None:
        reads, arguments = lowering.arguments(types)
        lowering.statement(f"{name}({leading}, {arguments})", reads | TRAPS, TABLES)

    def get(table: int) -> None:
        reads, index = lowering.arguments((tables[table].address,))
        lowering.push(f"table_get({elements(table)}, {index})", tables[table].element, reads | TABLES | TRAPS, PRIMARY)

    def set(table: int) -> None:
        type = tables[table]
        call("table_set", elements(table), (type.address, type.element))

    def size(table: int) -> None:
        stack.append(Operand(f"len({elements(table)})", PRIMARY, 0, mask(table), TABLES))

    def grow(table: int) -> None:
        type = tables[table]
        reads, arguments = lowering.arguments((type.element, type.address))
        text = f"table_grow({lowering.need('Z', 'table object', table)}, {arguments})"
        stack.append(Operand(text, PRIMARY, -1, mask(table), reads | CALLS))

    def fill(table: int) -> None:
        type = tables[table]
        call("table_fill", elements(table), (type.address, type.element, type.address))

    def copy(target: int, source: int) -> None:
        to, of = tables[target].address, tables[source].address
        length: NumberType = I32 if I32 in (to, of) else I64
        call("table_copy", f"{elements(target)}, {elements(source)}", (to, of, length))

    def init(segment: int, table: int) -> None:
        lowering.need("elements", "elements", 0)
        call("table_init", f"{elements(table)}, elements0[{segment}]", (tables[table].address, I32, I32))

    def drop(segment: int) -> None:
        lowering.need("elements", "elements", 0)
        lowering.statement(f"elements0[{segment}] = []", 0, TABLES)

    return {
        "table.get": get,
        "table.set": set,
        "table.size": size,
        "table.grow": grow,
        "table.fill": fill,
        "table.copy": copy,
        "table.init": init,
        "elem.drop": drop,
    }
