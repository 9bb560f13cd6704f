"""What is part of a running module is that one thing: it is not copied, pickled or replaced by mistake."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import wasmine
from wasmine import Runtime

TEXT = """(module (memory (export "memory") 1) (table (export "table") 1 funcref)
  (global (export "global") (mut i32) (i32.const 5)) (func (export "f") (result i32) (i32.const 7)))"""


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_part_is_copied(runtime: Runtime, how: Callable[[Any], Any]) -> None:
    instance = runtime.instantiate(TEXT)
    for part in (runtime, instance, instance.exports, *instance.exports.values()):
        with pytest.raises(TypeError, match=r"cannot (copy or )?pickle"):
            how(part)


def test_modules_are(runtime: Runtime) -> None:
    module = wasmine.Module(TEXT)
    for other in (copy.copy(module), copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert runtime.instantiate(other).exports.f() == 7


@pytest.mark.parametrize("name", ["global", "f", "other"])
def test_exports_cannot_be_set(runtime: Runtime, name: str) -> None:
    exports = runtime.instantiate(TEXT).exports
    with pytest.raises(AttributeError, match=f"cannot set export '{name}'.*`value`"):
        setattr(exports, name, 8)
    with pytest.raises(AttributeError, match=f"cannot delete export '{name}'"):
        delattr(exports, name)
    assert exports["global"].value == 5


def test_what_machine_code_trusts_cannot_be_changed(runtime: Runtime) -> None:
    exports = runtime.instantiate(TEXT).exports
    host = runtime.function(lambda: None, wasmine.FuncType((), ()))
    trusted = {
        exports.memory: ("base", "length", "fields", "reserved"),
        exports.table: ("base", "length", "fields"),
        exports.f: ("defined", "type", "record"),
        host: ("defined", "type", "record", "convention") + (("host",) if runtime.engine.name == "compiler" else ()),
    }
    for part, names in trusted.items():
        for name in names:
            with pytest.raises(AttributeError):
                setattr(part, name, None)


def test_an_element_that_is_not_there_is_not_read(runtime: Runtime) -> None:
    table = runtime.table(1)
    with pytest.raises(IndexError):
        table.get(1 << 40)
    if runtime.engine.name == "compiler":
        with pytest.raises(IndexError, match="of a table of 1"):
            table.put(1 << 40, [None])
