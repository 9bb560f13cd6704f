"""Function references before and after their function is lowered: the same object, whichever way it is first used."""

from __future__ import annotations

import threading

import pytest

import wasmine

MODULE = """(module
  (type $t (func (param i32) (result i32)))
  (table (export "table") 2 funcref)
  (elem (i32.const 0) $double $forward)
  (func $double (export "double") (type $t) (i32.mul (local.get 0) (i32.const 2)))
  (func $forward (type $t) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
  (func (export "indirectly") (param i32 i32) (result i32)
    (call_indirect (type $t) (local.get 0) (local.get 1)))
  (func (export "directly") (param i32) (result i32) (call $double (local.get 0))))
"""


@pytest.fixture
def instance() -> wasmine.Instance:
    return wasmine.Runtime("interpreter").instantiate(MODULE)


def lowered(instance: wasmine.Instance) -> set[int]:
    """The functions of the module that were lowered."""
    return set(instance.module.cache["interpreter"]._compiled)


def test_tables_lower_nothing(instance: wasmine.Instance) -> None:
    assert instance.exports.table[0] is instance.exports.double
    assert instance.exports.double.name == "double"
    assert lowered(instance) == set()


@pytest.mark.parametrize("call", ["from Python", "directly", "indirectly", "by a tail call"])
def test_the_reference_stays_the_same_object(instance: wasmine.Instance, call: str) -> None:
    exports = instance.exports
    before = exports.table[0]
    calls = {
        "from Python": lambda: before(21),
        "directly": lambda: exports.directly(21),
        "indirectly": lambda: exports.indirectly(21, 0),
        "by a tail call": lambda: exports.indirectly(21, 1),
    }
    assert calls[call]() == 42
    assert 0 in lowered(instance)
    assert exports.table[0] is before
    assert [again() for again in calls.values()] == [42] * 4


def test_threads_may_be_first_together() -> None:
    for _ in range(20):
        module, runtime = wasmine.Module(MODULE), wasmine.Runtime("interpreter")
        barrier = threading.Barrier(4)
        results: list[int] = []

        def call(exports: wasmine.Exports, barrier: threading.Barrier = barrier, results: list[int] = results) -> None:
            barrier.wait()
            results.append(exports.indirectly(4, 1))

        # Instances of a module have its code together.
        threads = [threading.Thread(target=call, args=(runtime.instantiate(module).exports,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [8] * 4
