"""Makes the template libraries: writes the functions, has LLVM compile them, lifts the code and stores it.

Build time only, and the only user of llvmlite. The result depends on nothing but the source and LLVM's version: the same
bytes come out on any host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wasmine.compiler.semantics import Target, meanings
from wasmine.compiler.templates import library
from wasmine.compiler.templates.forms import MODULE_PREAMBLE, Shape, TemplateBuilder, shapes
from wasmine.compiler.templates.lift import LiftError, Template, lift
from wasmine.compiler.templates.object import ObjectFile, read_object
from wasmine.compiler.templates.prepare import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from wasmine.compiler.semantics import Meaning

_TRIPLE: Final = "x86_64-unknown-linux-gnu"
# No test for short divisions (it takes more scratch registers than there are), and addresses of three parts are fine.
_TUNING: Final = "-idivq-to-divl,-slow-3ops-lea"


@dataclass(frozen=True, slots=True)
class Level:
    """A set of processors that share a library."""

    name: str
    cpu: str
    features: str


LEVELS: Final = (
    Level("amd64_v3", "x86-64-v3", ""),
    Level("amd64", "x86-64", "+ssse3,+sse4.1,+popcnt"),
)


def build(directory: Path) -> list[Path]:
    """Writes every library into `directory`; the files written."""
    written = []
    for level in LEVELS:
        path = directory / f"{level.name}.bin"
        path.write_bytes(build_level(level))
        written.append(path)
    return written


def build_level(level: Level) -> bytes:
    """The library of one level, as it is stored."""
    templates, constants = lift_level(level)
    return library.pack([(template, prepare(template)) for template in templates], constants)


def lift_level(level: Level) -> tuple[list[Template], list[bytes]]:
    """The templates of one level and the constants they refer to."""
    known = meanings()
    wanted = list(shapes(known))
    keys = [shape.key for shape in wanted]
    if len(set(keys)) != len(keys):
        raise LiftError("two templates have the same key")
    return _lift_all(wanted, known, _compile(wanted, known, level))


def _variants(shape: Shape) -> int:
    return 2 if shape.values else 1


def _compile(wanted: list[Shape], known: dict[str, Meaning], level: Level) -> ObjectFile:
    """The object file of all templates; variant v of template n is the function `tN_v`."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    declarations: dict[str, str] = {}
    text = [f'target triple = "{_TRIPLE}"', MODULE_PREAMBLE]
    for number, shape in enumerate(wanted):
        for variant in range(_variants(shape)):
            builder = TemplateBuilder(Target.AMD64, shape, known[shape.name], variant)
            text.append(builder.function(f"t{number}_{variant}"))
            declarations |= builder.declarations
    text.extend(declarations.values())
    module = llvm.parse_assembly("\n".join(text))
    module.verify()
    machine = llvm.Target.from_triple(_TRIPLE).create_target_machine(
        cpu=level.cpu,
        features=",".join(filter(None, (level.features, _TUNING))),
        opt=2,
        reloc="static",
        codemodel="small",
    )
    return read_object(machine.emit_object(module))


def _lift_all(
    wanted: list[Shape], known: dict[str, Meaning], compiled: ObjectFile
) -> tuple[list[Template], list[bytes]]:
    """Every template and the constants they refer to; LiftError lists all that failed."""
    numbers: dict[bytes, int] = {}

    def constant(symbol: str) -> int:
        return numbers.setdefault(compiled.constants[symbol], len(numbers))

    templates, failures = [], []
    for number, shape in enumerate(wanted):
        variants = [compiled.functions[f"t{number}_{variant}"] for variant in range(_variants(shape))]
        try:
            templates.append(lift(shape, known[shape.name], variants, constant))
        except (LiftError, ValueError) as error:
            failures.append(f"{shape.key}: {error}\n    {variants[0].code.hex()}")
    if failures:
        raise LiftError(f"{len(failures)} of {len(wanted)} templates were not understood:\n" + "\n".join(failures))
    return templates, list(numbers)
