"""What `tests/fuzz/engines.py` found in the interpreter, made small."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wasmine import Instance, Trap, TrapKind


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        ("(i32.load (i32.const 0x10000))", TrapKind.MEMORY_OUT_OF_BOUNDS),
        ("(array.get $numbers (array.new_default $numbers (i32.const 1)) (i32.const 1))", TrapKind.ARRAY_OUT_OF_BOUNDS),
        ("(i31.get_u (ref.null i31))", TrapKind.NULL_REFERENCE),
        ("(i32.const 1)", TrapKind.TABLE_OUT_OF_BOUNDS),
    ],
)
def test_a_trap_of_the_index_of_an_indirect_call_is_not_one_of_the_table(
    instantiate: Callable[..., Instance], index: str, kind: TrapKind
) -> None:
    instance = instantiate(f"""
        (module
          (type $numbers (array i32))
          (memory 1)
          (table 1 funcref)
          (func (export "call") (call_indirect {index}))
          (func (export "tail call") (return_call_indirect {index})))""")
    for export in ("call", "tail call"):
        with pytest.raises(Trap) as caught:
            instance.exports[export]()
        assert caught.value.kind is kind
