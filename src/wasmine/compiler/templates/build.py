"""Makes the template libraries: writes the functions, has LLVM compile them, lifts the code and stores it.

Build time only, and the only user of llvmlite. The result depends on nothing but the source and LLVM's version: the same
bytes come out on any host.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.semantics import meanings
from wasmine.compiler.templates import library
from wasmine.compiler.templates.amd64.lifting import Amd64
from wasmine.compiler.templates.architecture import LiftError
from wasmine.compiler.templates.arm64.lifting import Arm64
from wasmine.compiler.templates.expand import OFFSET
from wasmine.compiler.templates.forms import MODULE_PREAMBLE, Shape, TemplateBuilder, shapes
from wasmine.compiler.templates.lift import lift
from wasmine.compiler.templates.object import ObjectFile, read_object

if TYPE_CHECKING:
    from pathlib import Path

    from wasmine.compiler.semantics import Meaning
    from wasmine.compiler.templates.architecture import Architecture, Level, Template

ARCHITECTURES: Final[tuple[Architecture[Any], ...]] = (Amd64(), Arm64())


def build(directory: Path) -> list[Path]:
    """Writes every library into `directory`; the files written."""
    written = []
    for architecture in ARCHITECTURES:
        for level in architecture.levels:
            path = directory / f"{level.name}.bin"
            path.write_bytes(build_level(architecture, level))
            written.append(path)
    return written


def find_level(name: str) -> tuple[Architecture[Any], Level]:
    """A level and its architecture by the level's name."""
    return next((each, level) for each in ARCHITECTURES for level in each.levels if level.name == name)


def build_level(architecture: Architecture[Any], level: Level) -> bytes:
    """The library of one level, as it is stored."""
    templates, constants = lift_level(architecture, level)
    return library.pack(architecture.name, [(each, architecture.prepare(each)) for each in templates], constants)


def lift_level(architecture: Architecture[Any], level: Level) -> tuple[list[Template[Any]], list[bytes]]:
    """The templates of one level and the constants they refer to."""
    known = meanings()
    wanted = list(shapes(known, architecture))
    keys = [shape.key for shape in wanted]
    if len(set(keys)) != len(keys):
        raise LiftError("two templates have the same key")
    return _lift_all(architecture, wanted, known, _compile(architecture, level, wanted, known))


def _variants(shape: Shape) -> int:
    return 2 if shape.values else 1


def _zero_variants(architecture: Architecture[Any], shape: Shape) -> int:
    """The same for the code with the static offset 0; none where there is no such code."""
    if not (architecture.zero_offsets and shape.access and shape.kinds[0] == "R"):
        return 0
    return 2 if shape.values - {OFFSET} else 1


def _compile(
    architecture: Architecture[Any], level: Level, wanted: list[Shape], known: dict[str, Meaning]
) -> ObjectFile:
    """The object file of all templates; variant v of template n is the function `tN_v`, or `tN_vz` for the offset 0."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    declarations: dict[str, str] = {}
    text = [f'target triple = "{architecture.triple}"', MODULE_PREAMBLE]
    for number, shape in enumerate(wanted):
        symbols = [(f"t{number}_{variant}", variant, False) for variant in range(_variants(shape))]
        symbols += [(f"t{number}_{variant}z", variant, True) for variant in range(_zero_variants(architecture, shape))]
        for symbol, variant, at_zero in symbols:
            builder = TemplateBuilder(architecture, shape, known[shape.name], variant, at_zero=at_zero)
            text.append(builder.function(symbol))
            declarations |= builder.declarations
    text.extend(declarations.values())
    module = llvm.parse_assembly("\n".join(text))
    module.verify()
    machine = llvm.Target.from_triple(architecture.triple).create_target_machine(
        cpu=level.cpu,
        features=",".join(filter(None, (level.features, architecture.tuning))),
        opt=2,
        reloc="static",
        codemodel="small",
    )
    return read_object(machine.emit_object(module))


def _lift_all(
    architecture: Architecture[Any], wanted: list[Shape], known: dict[str, Meaning], compiled: ObjectFile
) -> tuple[list[Template[Any]], list[bytes]]:
    """Every template and the constants they refer to; LiftError lists all that failed."""
    numbers: dict[bytes, int] = {}

    def constant(symbol: str) -> int:
        return numbers.setdefault(compiled.constants[symbol], len(numbers))

    templates, failures = [], []
    for number, shape in enumerate(wanted):
        variants = [compiled.functions[f"t{number}_{variant}"] for variant in range(_variants(shape))]
        zero_variants = range(_zero_variants(architecture, shape))
        try:
            template = lift(architecture, shape, known[shape.name], variants, constant)
            if zero_variants:
                variants = [compiled.functions[f"t{number}_{variant}z"] for variant in zero_variants]
                zero = lift(architecture, shape, known[shape.name], variants, constant, at_zero=True)
                template = replace(template, at_zero=zero.instructions, hazards=template.hazards | zero.hazards)
            templates.append(template)
        except (LiftError, ValueError) as error:
            failures.append(f"{shape.key}: {error}\n    {variants[0].code.hex()}")
    if failures:
        raise LiftError(f"{len(failures)} of {len(wanted)} templates were not understood:\n" + "\n".join(failures))
    return templates, list(numbers)
