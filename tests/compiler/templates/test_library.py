"""Libraries: stored and found again, the same bytes from the same source, nothing needed to use them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from wasmine.compiler.semantics import meanings
from wasmine.compiler.templates import library
from wasmine.compiler.templates.amd64.encode import VEX
from wasmine.compiler.templates.amd64.filling import accepts_immediate
from wasmine.compiler.templates.amd64.lifting import Amd64
from wasmine.compiler.templates.amd64.prepare import prepare
from wasmine.compiler.templates.architecture import Template
from wasmine.compiler.templates.arm64.lifting import Arm64
from wasmine.compiler.templates.forms import shapes
from wasmine.compiler.templates.library import TemplateLibrary, pack, packed
from wasmine.compiler.templates.show import show

Lifted = dict[str, tuple[list[Template[Any]], list[bytes]]]


def test_what_is_packed_is_found_again(lifted: Lifted) -> None:
    templates = [(template, prepare(template)) for template in lifted["amd64"][0][::97]]
    again = TemplateLibrary(pack("amd64", templates, [b"12345678", b"", b"1234"]))
    assert again.keys == [template.key for template, _ in templates]
    assert again.constants == (b"12345678", b"", b"1234")
    for number, (template, prepared) in enumerate(templates):
        assert again.hazards(number) == template.hazards
        assert tuple(again._variants_of(number).values()) == prepared.variants


def test_a_library_that_was_interrupted_is_whole(lifted: Lifted, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what a signal handler raises while a template is unpacked that has variants."""
    template = next(each for each in lifted["amd64"][0] if len(prepare(each).variants) > 1)
    again = TemplateLibrary(pack("amd64", [(template, prepare(template))], []))
    unpack, seen = library._unpack_variant, []

    def interrupted(data: bytes, at: int) -> Any:
        seen.append(at)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return unpack(data, at)

    monkeypatch.setattr(library, "_unpack_variant", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again._variants_of(0)
    assert tuple(again._variants_of(0).values()) == prepare(template).variants


def test_a_file_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="build it again"):
        TemplateLibrary(b"wasmine templates 0\n")


def test_without_the_file_there_is_no_library() -> None:
    assert library.load("another_processor") is None


def test_libraries_have_every_template(libraries: dict[str, TemplateLibrary]) -> None:
    keys = [shape.key for shape in shapes(meanings(), Amd64())]
    assert libraries["amd64_v3"].keys == libraries["amd64"].keys == keys
    assert libraries["arm64"].keys == [shape.key for shape in shapes(meanings(), Arm64())]


@pytest.mark.parametrize("level", ["amd64", "arm64"])
def test_the_same_source_gives_the_same_bytes_in_another_process(level: str, stored: dict[str, bytes]) -> None:
    code = (
        "import sys; from wasmine.compiler.templates.build import build_level, find_level\n"
        f"sys.stdout.buffer.write(build_level(*find_level({level!r})))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == stored[level]


def test_plain_processors_get_no_vex_prefix(lifted: Lifted) -> None:
    plain, new = (
        sum(1 for template in lifted[level][0] for i in template.instructions if i.prefixes & VEX)
        for level in ("amd64", "amd64_v3")
    )
    assert plain == 0
    assert new > 1000


def test_what_was_filled_in_is_kept(libraries: dict[str, TemplateLibrary]) -> None:
    found = libraries["amd64_v3"]
    number = found.numbers["i32.add RR A"]
    first = found.code(number, a=7, b=6)
    assert first.code == bytes.fromhex("01 f7")
    assert found.code(number, a=7, b=6) is first
    assert found.codes[packed(number, a=7, b=6)] is first


def test_using_a_library_needs_only_the_standard_library() -> None:
    code = (
        "import sys; from wasmine.compiler.templates import library, expand\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('wasmine', 'llvmlite')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(
        ["wasmine", "wasmine.compiler", "wasmine.compiler.templates"]
        + [f"wasmine.compiler.templates.{name}" for name in ("expand", "library")]
        + ["wasmine.version"]
    )


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("i32.add", 0x7FFFFFFF, True),
        ("i64.add", 0x80000000, False),
        ("i64.and", -0x80000000, True),
        ("i32.eq", 0, True),
        ("i32.lt_s", 0x7FFFFFFF, False),
        ("i32.lt_s", 0, True),
        ("i32.lt_u", 0, False),
        ("i64.ge_u", -1, False),
        ("i64.ge_u", 1, True),
    ],
)
def test_immediates_at_the_limits_of_an_order_are_refused(name: str, value: int, accepted: bool) -> None:
    assert accepts_immediate(name, value) is accepted


def test_a_template_can_be_shown(libraries: dict[str, TemplateLibrary]) -> None:
    lines = list(show(libraries["amd64_v3"], "i32.div_u RR D"))
    assert lines[0].startswith("i32.div_u RR D")
    assert any("integer divide by zero" in line for line in lines)
    assert list(show(libraries["amd64_v3"], "i32.ad")) == []
    shown = list(show(libraries["amd64_v3"], "f32x4.abs R D"))
    assert any("constant" in line for line in shown)
