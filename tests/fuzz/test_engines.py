"""A short run of the engine fuzzer: the engines, and wasmtime, do the same with a few dozen modules; and it sees faults."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
from comparison import Report, compare
from engines import PROFILES, fuzz, parse_arguments, subject, summary
from generated import case
from modules import wasm_tools
from ours import WasmineSubject
from session import Call, Case, Loaded, Outcome, Session

from wasmine.format.text import parse_module
from wasmine.format.writer import write

needs_tools = pytest.mark.skipif(wasm_tools() is None, reason="needs wasm-tools: pip install wasmine[test]")
needs_wasmtime = pytest.mark.skipif(
    importlib.util.find_spec("wasmtime") is None, reason="needs wasmtime: pip install wasmine[bench]"
)


def reports(*arguments: str) -> dict[str, Report]:
    """What a run of the script gives, by profile."""
    found: dict[str, Report] = {}
    for task, report in fuzz(parse_arguments(arguments)):
        found.setdefault(task.profile, Report()).add(report)
    return found


@needs_tools
@needs_wasmtime
def test_a_few_dozen_modules_do_the_same_in_wasmtime(engine: str) -> None:
    found = reports("--oracle=wasmtime", f"--engines={engine}", "--count=4", "--seed=7")
    assert set(found) == set(PROFILES)
    assert [str(difference) for report in found.values() for difference in report.differences] == []
    # The run says something: code ran to its end and to traps, in modules that import from each other too.
    endings = sum((report.endings for report in found.values()), start=Report().endings)
    assert endings["returned"] > 40
    assert endings["unreachable"] > 10
    assert endings["out of bounds memory access"] > 3
    assert found["linked-plain"].endings["returned"] > 10


@needs_tools
def test_the_engines_use_the_same_fuel() -> None:
    found = reports("--engines=interpreter,compiler", "--fuel=300", "--count=3", "--seed=11")
    assert [str(difference) for report in found.values() for difference in report.differences] == []
    endings = sum((report.endings for report in found.values()), start=Report().endings)
    assert endings["returned"] > 20
    assert endings["out of fuel"] > 3


def test_no_way_of_running_makes_a_difference(compiler: str) -> None:
    ways = ",".join(f"compiler-{way}" for way in ("checked", "cautious", "plain", "cached", "cloned", "released"))
    engines = f"--engines=interpreter,interpreter-cached,interpreter-cloned,{ways}"
    found = reports(engines, "--profile=composed,legacy", "--count=2", "--seed=20")
    assert [str(difference) for report in found.values() for difference in report.differences] == []
    assert all(report.endings["returned"] > 3 for report in found.values())
    assert all(not report.dropped for report in found.values())


class Faulty:
    """An engine that gets one thing wrong."""

    name = "faulty"

    def __init__(self, fault: dict[str, object]) -> None:
        self.fault = fault

    def load(self, modules: object) -> Loaded:
        return FaultyModules(WasmineSubject("interpreter").load(modules), self.fault)  # type: ignore[arg-type]


class FaultyModules:
    def __init__(self, loaded: Loaded, fault: dict[str, object]) -> None:
        self.loaded = loaded
        self.fault = fault

    def run(self, session: Session) -> list[Outcome]:
        *before, last = self.loaded.run(session)
        return [*before, replace(last, **self.fault)]  # type: ignore[arg-type]


@pytest.fixture
def one_case() -> Case:
    text = '(module (memory (export "m") 1) (func (export "f") (result f32) (f32.const nan)))'
    return case("one", (write(parse_module(text)),))


def test_what_an_export_does_is_compared_with_itself(one_case: Case) -> None:
    report = compare(one_case, [WasmineSubject("interpreter"), Faulty({})])
    assert summary("one", report) == "one: 1 modules, 1 calls, 1 returned, 0 dropped, 0 differences"


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ({"values": ("f32:0x7fc00001",)}, "faulty: returned f32:0x7fc00001"),
        ({"ending": "unreachable", "values": ()}, "faulty: unreachable"),
        ({"state": ("0 'm' memory 2 00",)}, "    0 'm' memory 2 00"),
    ],
)
def test_a_wrong_bit_a_wrong_trap_and_a_wrong_memory_are_differences(
    one_case: Case, fault: dict[str, object], shown: str
) -> None:
    report = compare(one_case, [WasmineSubject("interpreter"), Faulty(fault)])
    assert [difference.at for difference in report.differences] == ["module 0, export 'f' ()"]
    assert "interpreter: returned f32:0x7fc00000" in report.differences[0].found
    assert shown in report.differences[0].found


def test_limits_of_an_engine_are_not_differences(one_case: Case) -> None:
    report = compare(one_case, [WasmineSubject("interpreter"), Faulty({"ending": "allocation size too large"})])
    assert report.differences == []
    assert report.dropped == {"allocation size too large in faulty": 1}


@needs_wasmtime
def test_subjects_show_values_alike() -> None:
    text = """
        (module
          (func (export "numbers") (result i32 i64 f32 f64 v128)
            (i32.const -1) (i64.const -2) (f32.const -nan:0x200000) (f64.const -0) (v128.const i32x4 1 2 3 4))
          (func (export "references") (param externref anyref anyref funcref) (result externref anyref anyref funcref anyref)
            (local.get 0) (local.get 1) (ref.i31 (i32.const -1)) (local.get 3) (extern.convert_any (ref.i31 (i32.const 1)))
            (any.convert_extern))
          (tag $t (param i64 f32))
          (func (export "throws") (throw $t (i64.const -1) (f32.const 0.5)))
          (func (export "catches") (result exnref)
            (block $caught (result exnref) (try_table (catch_all_ref $caught) (throw $t (i64.const 1) (f32.const 1)))
              (unreachable)))
          (global (export "global") (mut f64) (f64.const 0x1p-1074))
          (table (export "table") 2 funcref)
          (elem (i32.const 1) func 0)
          (memory (export "memory") i64 1 2)
          (data (i64.const 7) "data"))"""
    tested = case("values", (write(parse_module(text)),))
    report = compare(tested, [subject("wasmtime"), WasmineSubject("interpreter")])
    assert [str(difference) for difference in report.differences] == []
    assert report.endings == {"returned": 3, "exception": 1}


@needs_wasmtime
def test_an_exception_of_a_start_function_is_an_exception() -> None:
    text = "(module (tag $t (param i32)) (func $f (throw $t (i32.const 5))) (start $f))"
    session = (Call(0, "nothing"),)
    report = compare(Case("start", (text,), (session,)), [subject("wasmtime"), WasmineSubject("interpreter")])
    assert [str(difference) for difference in report.differences] == []
    assert report.endings == {"exception at instantiation": 1}
