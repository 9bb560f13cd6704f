"""The generated source: all of it compiles, can be read, and holds only what is switched on."""

from __future__ import annotations

import ast
import builtins
import dis

import pytest

from wasmine.format.features import Features
from wasmine.format.instructions import BY_NAME, INSTRUCTIONS
from wasmine.validation import generator, templates
from wasmine.validation.generator import Kind

PREFIXES = sorted({instruction.prefix for instruction in INSTRUCTIONS})


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_source_is_one_function(kind, prefix):
    (function,) = ast.parse(generator.source(Features(), kind, prefix)).body

    assert isinstance(function, ast.FunctionDef)
    assert ast.get_docstring(function)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_name_in_the_source_is_known(kind, prefix):
    function = generator._function(Features(), kind, prefix)

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
        generator.source(features, Kind.BODY) for features in (Features(), Features(function_references=False))
    )

    assert "call_ref(m, st, i)" in with_calls
    assert "call_ref(m, st, i)" not in without


def test_equal_templates_stand_once():
    lines = [line.strip() for line in generator.source(Features(), Kind.BODY).splitlines()]
    template = [line.strip() for line in templates.source(BY_NAME["f64.add"], visiting=False)]

    assert templates.source(BY_NAME["f64.min"], visiting=False) == templates.source(BY_NAME["f64.add"], visiting=False)
    assert "\n".join(lines).count("\n".join(template)) == 1


def test_a_walk_is_made_once():
    assert generator.walk(Features(), Kind.BODY) is generator.walk(Features(), Kind.BODY)


def test_the_frequencies_are_of_instructions():
    assert set(generator._FREQUENCIES) <= set(BY_NAME)
