"""Where compiled functions lie: those whose code is known already share pages."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wasmine
from wasmine.compiler.machine import glue, libc
from wasmine.compiler.module import placed_code

pytestmark = pytest.mark.usefixtures("compiler")

COUNT = 200
TEXT = "(module (memory 1)" + "".join(
    f"(func $f{i} (param i32) (result i32) (i32.add (i32.load offset={i} (local.get 0)) (i32.const {i})))"
    for i in range(COUNT)
)
TEXT += '(func $big (export "big") (param i32) (result i32) (local.get 0)' + "".join(
    f"(call $f{i})" + "(i32.const 3) i32.mul (i32.const 0) i32.mul" for i in range(COUNT)
)
TEXT += ')(func (export "last") (param i32) (result i32) (call $f150 (local.get 0))))'


def used() -> int:
    """Bytes of code memory that are in use."""
    gc.collect()  # what other tests have left
    code = glue.load().code
    return code.size - sum(code._free.values())


@pytest.fixture(params=["cached", "compiled ahead"])
def exports(request: Any, tmp_path: Path) -> Iterator[Any]:
    """Exports of an instance, the code of all of whose functions is known."""
    if request.param == "cached":
        with wasmine.Runtime("compiler", cache=tmp_path) as earlier:
            instance = earlier.instantiate(TEXT)
            instance.exports.big(0)
            instance.exports.last(0)
        del instance, earlier
    with wasmine.Runtime("compiler", cache=tmp_path if request.param == "cached" else None) as runtime:
        module = wasmine.Module(TEXT, cache=runtime.cache)
        if request.param != "cached":
            runtime.compile(module)
        yield runtime.instantiate(module).exports


def test_functions_whose_code_is_known_share_pages(exports: Any) -> None:
    before = used()
    assert exports.big(0) == 0
    assert used() - before < COUNT * libc.PAGE // 8
    assert exports.last(0) == 150


def test_functions_that_were_never_compiled_have_pages_of_their_own() -> None:
    made = wasmine.Runtime("compiler").instantiate(TEXT).exports
    before = used()
    made.big(0)
    assert used() - before >= COUNT * libc.PAGE


def test_a_trap_names_the_function_on_the_page(exports: Any) -> None:
    exports.big(0)
    with pytest.raises(wasmine.Trap) as caught:
        exports.last(65_536)
    assert [frame.function for frame in caught.value.frames] == ["f150", "last"]


def test_what_lies_at_an_address_is_known(exports: Any) -> None:
    exports.big(0)
    found = [placed for page in list(placed_code._by_page.values()) for placed in page if placed.code.index < COUNT]
    assert len(found) >= COUNT
    for placed in found:
        assert placed_code.find(placed.start) is placed
        assert placed_code.find(placed.end - 1) is placed
        assert placed_code.find(placed.end) is not placed


def test_code_is_given_back_page_by_page(tmp_path: Path) -> None:
    import gc

    def use() -> None:
        with wasmine.Runtime("compiler", cache=tmp_path) as runtime:
            runtime.instantiate(TEXT).exports.big(0)

    use()
    gc.collect()
    before, pages = used(), len(placed_code._by_page)
    for _ in range(3):
        use()
        gc.collect()
    assert (used(), len(placed_code._by_page)) == (before, pages)
