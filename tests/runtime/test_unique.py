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


def test_what_machine_code_trusts_of_a_memory_cannot_be_changed(runtime: Runtime) -> None:
    memory = runtime.instantiate(TEXT).exports.memory
    for name in ("base", "length", "fields", "reserved"):
        with pytest.raises(AttributeError):
            setattr(memory, name, 1)
