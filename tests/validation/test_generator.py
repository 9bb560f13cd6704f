"""The generated source: all of it compiles, can be read, and holds only what is switched on."""

from __future__ import annotations

import ast
import builtins
import dis
import sys
from typing import TYPE_CHECKING

import pytest

from wasmine.format.features import Features
from wasmine.format.instructions import BY_NAME, INSTRUCTIONS
from wasmine.validation import generator, templates, walks
from wasmine.validation.walks import Kind

if TYPE_CHECKING:
    from pathlib import Path

PREFIXES = sorted({instruction.prefix for instruction in INSTRUCTIONS})


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_source_is_one_function(kind, prefix):
    (function,) = ast.parse(generator.generate(Features(), kind, prefix)[0]).body

    assert isinstance(function, ast.FunctionDef)
    assert ast.get_docstring(function)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_name_in_the_source_is_known(kind, prefix):
    function = walks._function(Features(), kind, prefix)

    used = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}

    assert used
    assert used <= {*function.__globals__, *vars(builtins)}


def test_a_template_reads_checks_and_visits():
    assert templates.source(BY_NAME["local.get"], visiting=True) == [
        "for i in it: break",
        "else: truncated()",
        "if i > 127: i = unsigned_32(it, i)",
        "st.append(loc[i])",
        "V[op](i)",
    ]
    assert templates.source(BY_NAME["i32.add"], visiting=False) == [
        "t = st.pop()",
        "if t is not i32: check(t, i32)",
        "t = st[-1]",
        "if t is not i32:",
        "    check(t, i32)",
        "    st[-1] = i32",
    ]


def test_what_is_switched_off_is_not_there():
    with_calls, without = (
        generator.generate(features, Kind.BODY)[0] for features in (Features(), Features(function_references=False))
    )

    assert "call_ref(m, st, i)" in with_calls
    assert "call_ref(m, st, i)" not in without


def test_equal_templates_stand_once():
    lines = [line.strip() for line in generator.generate(Features(), Kind.BODY)[0].splitlines()]
    template = [line.strip() for line in templates.source(BY_NAME["f64.add"], visiting=False)]

    assert templates.source(BY_NAME["f64.min"], visiting=False) == templates.source(BY_NAME["f64.add"], visiting=False)
    assert "\n".join(lines).count("\n".join(template)) == 1


def test_a_walk_is_made_once():
    assert walks.walk(Features(), Kind.BODY) is walks.walk(Features(), Kind.BODY)


def test_the_frequencies_are_of_instructions():
    assert set(generator._FREQUENCIES) <= set(BY_NAME)


def test_prepared_walks_are_the_generated_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for path in generator.prepare(tmp_path):
        compile(path.read_text(encoding="utf-8"), path, "exec")
    package = type(sys)(walks.PREPARED)
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, walks.PREPARED, package)

    for kind in Kind:
        for prefix in PREFIXES:
            name = f"{walks.PREPARED}.{walks.prepared_name(kind, prefix)}"
            monkeypatch.setitem(sys.modules, name, package)  # so that it goes afterwards
            del sys.modules[name]
            found = walks._function(Features(), kind, prefix)
            assert found.__code__.co_filename.startswith(str(tmp_path))
            source, groups = generator.generate(Features(), kind, prefix)
            assert found.__globals__["GROUPS"] == groups
            namespace = {}
            exec(compile(source, "generated", "exec"), namespace)
            assert found.__code__.co_code == namespace[found.__name__].__code__.co_code
            other = walks._function(Features(tail_call=False), kind, prefix)
            assert not other.__code__.co_filename.startswith(str(tmp_path))
