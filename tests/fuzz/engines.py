"""Fuzzing of execution: random modules run alike in all engines, and in PyPI's `wasmtime`, bit by bit.

Results, reasons of traps, exceptions, and after each call the exported memories, tables and globals are compared. The
profiles from `mvp` on are modules of `wasm-tools smith`, or pairs where the second imports from the first; `linked` are
graphs of modules that import from each other, `linked-plain` those of WebAssembly 2.0 and `linked-native` those without
casts; `composed` are programs with deep operand stacks, exceptions and a host that calls back, `legacy` has the
legacy instructions of exceptions too. An engine that gives up for
a limit of its own is left out from there on. Modules run in processes of their own, so that a crash or an endless loop is a
finding like any other. Any finding makes the exit code 1.

    python tests/fuzz/engines.py --count 100 --oracle wasmtime
    python tests/fuzz/engines.py --engines interpreter,compiler --profile wasm3 --seed 1000 --count 50
    python tests/fuzz/engines.py --fuel 500 --count 50
    python tests/fuzz/engines.py --oracle wasmtime --like mvp/274 found.wasm

The last runs a module with the arguments of the case it was found in. To make it small, give `wasm-tools shrink` a script
that does so and exits with 0 if this one exited with 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import composed
import generated
import linked
from comparison import Difference, Report, compare
from ours import WasmineSubject
from session import Case, Subject

from wasmine import Module, WasmineError
from wasmine.runtime.runtime import ENGINES

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PROFILES: Final = (*generated.PROFILES, "linked", "linked-plain", "linked-native", "composed", "legacy")

# Whose results are for an implementation to say, and what the oracle lacks: our engines agree on them.
OURS_ALONE: Final = ("relaxed", "legacy")

# Seconds for a case. Fuel ends it in a small part of that.
PATIENCE: Final = 300


def subject(name: str, fuel: int | None = None) -> Subject:
    """The subject of a name: that of an engine, whose instances may have fuel, or the oracle."""
    if name == "wasmtime":
        from oracle import WasmtimeSubject

        return WasmtimeSubject()
    return WasmineSubject(name, fuel)


@dataclass(frozen=True)
class Task:
    """A case yet to be made: number `number` of a profile, or the module of a file with arguments like those."""

    profile: str
    number: int
    file: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.profile}/{self.number}"

    @property
    def again(self) -> str:
        """The options that run it again."""
        return (
            f"--like {self.name} {self.file}"
            if self.file
            else f"--profile {self.profile} --seed {self.number} --count 1"
        )

    def case(self, directory: Path) -> Case | None:
        """The case. None if the seed gives no module."""
        if self.file is not None:
            return generated.case(self.name, (self.file.read_bytes(),))
        if self.profile.startswith("linked"):
            return linked.case(self.name, self.profile.removeprefix("linked").removeprefix("-"))
        if self.profile in ("composed", "legacy"):
            return composed.case(self.name, legacy=self.profile == "legacy")
        modules = generated.modules(self.profile, self.number, directory)
        return generated.case(self.name, modules) if modules else None


def work(connection: Connection, names: Sequence[str], fuel: int | None, directory: Path) -> None:
    """The loop of a working process: a task comes in, its report goes out."""
    subjects = [subject(name, fuel) for name in names]
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(report_of(task, subjects, directory))


def report_of(task: Task, subjects: Sequence[Subject], directory: Path) -> Report:
    """What comes of a task."""
    case: Case | None = Case(task.name, (), ())
    try:
        case = task.case(directory)
        if case is None:
            return Report()
        return compare(case, [s for s in subjects if s.name != "wasmtime" or task.profile not in OURS_ALONE])
    except Exception as error:
        assert case is not None
        return failure(case, f"raised {type(error).__name__}: {error}")


def failure(case: Case, what: str) -> Report:
    report = Report()
    report.tally["differences"] += 1
    report.differences.append(Difference(case, what, ""))
    return report


class Worker:
    """A process that runs tasks, one at a time."""

    def __init__(self, names: Sequence[str], fuel: int | None, directory: Path) -> None:
        # Not forked: the parent's state must not decide what a module does.
        context: Any = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=work, args=(theirs, names, fuel, directory), daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.deadline = 0.0

    def start(self, task: Task) -> None:
        self.task = task
        self.deadline = time.monotonic() + PATIENCE
        with suppress(OSError):  # `finish` will notice that the process is dead
            self.connection.send(task)

    def finish(self, directory: Path) -> Report | None:
        """The report of the task; None if there is none yet. The worker is of no more use if it is dead then."""
        assert self.task is not None
        if not self.connection.poll():
            if time.monotonic() < self.deadline:
                return None
            self.process.kill()
            return failure(self._case(directory), f"took more than {PATIENCE} s")
        try:
            report: Report = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return failure(self._case(directory), f"killed the process: exit code {self.process.exitcode}")
        self.task = None
        return report

    def _case(self, directory: Path) -> Case:
        assert self.task is not None
        return self.task.case(directory) or Case(self.task.name, (), ())

    def stop(self) -> None:
        self.connection.close()
        self.process.join(1)
        if self.process.is_alive():
            self.process.kill()


def tasks(options: argparse.Namespace) -> Iterator[Task]:
    """Everything to do, the profiles in turn."""
    if options.files:
        profile, number = options.like.split("/")
        yield from (Task(profile, int(number), file) for file in options.files)
        return
    for number in range(options.seed, options.seed + options.count):
        for profile in options.profile:
            yield Task(profile, number)


def fuzz(options: argparse.Namespace) -> Iterator[tuple[Task, Report]]:
    """Run all tasks; each with its report, as they finish."""
    deadline = time.monotonic() + options.minutes * 60
    todo = tasks(options)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        workers: list[Worker] = []
        try:
            while time.monotonic() < deadline or any(worker.task for worker in workers):
                idle = [worker for worker in workers if worker.task is None]
                upcoming = next(todo, None) if time.monotonic() < deadline and _room(workers, idle, options) else None
                if upcoming is not None:
                    if not idle:
                        idle.append(Worker(options.subjects, options.fuel, directory))
                        workers.append(idle[0])
                    idle[0].start(upcoming)
                    continue
                busy = [worker for worker in workers if worker.task is not None]
                if not busy:
                    break
                wait([worker.connection for worker in busy], timeout=1)
                for worker in busy:
                    task = worker.task
                    report = worker.finish(directory)
                    if report is None:
                        continue
                    if worker.task is not None:  # it died of it
                        worker.stop()
                        workers.remove(worker)
                    assert task is not None
                    yield task, report
        finally:
            for worker in workers:
                worker.stop()


def _room(workers: Sequence[Worker], idle: Sequence[Worker], options: argparse.Namespace) -> bool:
    return bool(idle) or len(workers) < options.jobs


def summary(profile: str, report: Report) -> str:
    """A line on what came of a profile."""
    calls = report.tally["calls"]
    parts = [f"{report.tally['modules']} modules", f"{calls} calls", f"{report.endings['returned']} returned"]
    parts += [f"{number} {ending}" for ending, number in report.endings.most_common() if ending != "returned"]
    dropped = ", ".join(f"{number} {ending}" for ending, number in report.dropped.most_common())
    parts.append(f"{report.dropped.total()} dropped{f' ({dropped})' if dropped else ''}")
    return f"{profile}: {', '.join(parts)}, {report.tally['differences']} differences"


def keep(directory: Path, difference: Difference, again: str) -> None:
    """Write down a difference and its modules."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = Path(difference.case.name.replace("/", "-")).stem
    for position, module in enumerate(difference.case.modules):
        path = directory / f"{stem}-m{position}"
        if isinstance(module, str):
            path.with_suffix(".wat").write_text(module)
        else:
            path.with_suffix(".wasm").write_bytes(module)
    with (directory / f"{stem}.txt").open("a") as notes:
        notes.write(f"{difference}\n  again: {again}\n")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    engines = [name for name in ENGINES if name != "auto"]
    names = [*engines, *(f"{name}-{way}" for name in engines for way in ("cached", "cloned"))]
    if "compiler" in engines:
        engines.append("compiler-checked")
        names += ["compiler-checked", "compiler-cautious", "compiler-plain", "compiler-released"]
    parser = argparse.ArgumentParser(description="Run random modules in several engines and compare.")
    parser.add_argument("files", type=Path, nargs="*", help="compare these modules instead of random ones")
    parser.add_argument("--count", type=int, default=100, help="cases of each profile (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case (default: 0)")
    parser.add_argument("--profile", help=f"profiles, with commas (default: all, {','.join(PROFILES)})")
    parser.add_argument("--like", default="files/0", help="the case whose arguments the files get, such as mvp/274")
    parser.add_argument(
        "--engines", default=",".join(engines), help=f"of {','.join(names)} (default: {','.join(engines)})"
    )
    parser.add_argument("--oracle", choices=["wasmtime"], help="compare with this one too")
    parser.add_argument("--fuel", type=int, help="give every instance so much, and compare what is left of it")
    parser.add_argument("--minutes", type=float, default=60, help="begin nothing new after this time (default: 60)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (default: 1)")
    parser.add_argument("--findings", type=int, default=20, help="stop after so many differences (default: 20)")
    parser.add_argument("--keep", type=Path, help="write modules with differences to this directory")
    options = parser.parse_args(arguments)
    options.profile = options.profile.split(",") if options.profile else list(PROFILES)
    for profile in options.profile:
        if profile not in PROFILES:
            parser.error(f"unknown profile {profile!r}: expected some of {', '.join(PROFILES)}")
    if options.fuel is not None and (options.oracle or options.fuel < 0):
        parser.error("--fuel: expected a natural number, and no --oracle, which counts otherwise")
    engines = options.engines.split(",") if options.engines else []
    for engine in engines:
        if engine not in names:
            parser.error(f"unknown engine {engine!r}: expected some of {', '.join(names)}")
    # The oracle first: it is the measure.
    options.subjects = [*([options.oracle] if options.oracle else []), *engines]
    if len(options.subjects) < 2:
        parser.error(f"nothing to compare {options.subjects[0]} with: add --oracle wasmtime, or another engine")
    if not re.fullmatch(r"[a-z0-9-]+/\d+", options.like):
        parser.error(f"--like: expected a profile and a number, such as mvp/274, found {options.like!r}")
    for file in options.files:
        try:
            Module(file)
        except (OSError, WasmineError) as error:
            parser.error(f"{file}: {error}")
    return options


def main() -> int:
    options = parse_arguments()
    reports: dict[str, Report] = {}
    for task, report in fuzz(options):
        reports.setdefault(task.profile, Report()).add(report)
        fuel = f" --fuel {options.fuel}" if options.fuel is not None else ""
        again = (
            f"--engines {options.engines}{f' --oracle {options.oracle}' if options.oracle else ''}{fuel} {task.again}"
        )
        for difference in report.differences:
            print(f"{difference}\n  again: {again}", flush=True)
            if options.keep:
                keep(options.keep, difference, again)
        if sum(len(report.differences) for report in reports.values()) >= options.findings:
            break
    for profile, report in reports.items():
        print(summary(profile, report))
    return 1 if any(report.differences for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
