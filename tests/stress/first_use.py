"""Ends the first use of an engine at random places, as a signal handler that raises would, and uses it again.

What a process makes once and keeps (templates, the block of a thread, hooks, what validation is generated from) has to be
whole then, or not there. Each time a child process gets an exception at another line of Python code, ours or the library's.

    python tests/stress/first_use.py --count 1000 --engine compiler
    python tests/stress/first_use.py --count 1000 --opcodes          not only where a line begins

Only modules are there before: CPython itself loses exceptions that come while it imports.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import select
import signal
import sys
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, Final

import wasmine

if TYPE_CHECKING:
    from types import FrameType

PATIENCE: Final = 60

GUEST: Final = """(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory 1) (table 1 funcref) (elem (i32.const 0) $sum)
  (func $sum (param i32) (result i32) (local i32)
    (loop $again
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (i32.store (i32.const 8) (local.get 1))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.load (i32.const 8)))
  (func (export "sum") (param i32) (result i32)
    (call_indirect (param i32) (result i32) (call $call (local.get 0)) (i32.const 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"""


class Stop(BaseException):
    """What ends it."""


class Tracer:
    """Raises `Stop` at the event with this number, counted from 1; `place` says where that was."""

    def __init__(self, number: int, opcodes: bool) -> None:
        self.count = 0
        self.place = ""
        self._number = number
        self._event = "opcode" if opcodes else "line"

    def __call__(self, frame: FrameType, event: str, _: object) -> Tracer:
        frame.f_trace_opcodes = self._event == "opcode"
        if event == self._event:
            self.count += 1
            if self.count == self._number:
                self.place = f"{frame.f_globals.get('__name__')}:{frame.f_lineno} ({frame.f_code.co_name})"
                sys.settrace(None)
                raise Stop
        return self


def use(engine: Any) -> list[object]:
    """Everything once: a call, a call of Python, a fault, a time limit, a copy. It gives what `RESULTS` says."""
    with wasmine.Runtime(engine) as runtime:
        instance = runtime.instantiate(GUEST, {"host": {"call": lambda n: n + 1}})
        results: list[object] = [instance.exports.sum(9)]
        try:
            instance.exports.load(-4)
        except wasmine.Trap as trap:
            results += [trap.kind.name, len(trap.frames)]
        instance.timeout = PATIENCE
        results.append(instance.exports.sum(19))
        results.append(instance.clone().exports.sum(29))
    return results


RESULTS: Final = [55, "MEMORY_OUT_OF_BOUNDS", 1, 210, 465]


def child(engine: Any, number: int, opcodes: bool) -> dict[str, Any]:
    """What happened at the first use, and the results of two more."""
    tracer = Tracer(number, opcodes)
    ended = False
    sys.settrace(tracer)
    try:
        use(engine)
    except Stop:
        ended = True
    finally:
        sys.settrace(None)
    again = []
    for _ in range(2):
        try:
            again.append(use(engine))
        except BaseException as error:
            again.append([f"{type(error).__name__}: {error}"])
    modules = list(sys.modules)
    return {"ended": ended, "place": tracer.place, "events": tracer.count, "again": again, "modules": modules}


def attempt(engine: Any, number: int, opcodes: bool) -> dict[str, Any]:
    """What a child process says; {} if it crashed or hung."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # of exceptions that are lost in finalizers
            os.write(writing, json.dumps(child(engine, number, opcodes)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    said = b""
    with open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123
        while select.select([pipe], [], [], PATIENCE)[0] and (some := pipe.read(1 << 16)):
            said += some
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        return {}
    return found


def main() -> int:
    """Exit code 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="compiler", choices=("compiler", "interpreter"))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--opcodes", action="store_true")
    arguments = parser.parse_args()
    for module in attempt(arguments.engine, 0, False)["modules"]:
        with suppress(ImportError):
            importlib.import_module(module)
    events = attempt(arguments.engine, 0, arguments.opcodes)["events"]
    random, problems, ended = Random(arguments.seed), [], 0
    for _ in range(arguments.count):
        number = random.randrange(events) + 1
        found = attempt(arguments.engine, number, arguments.opcodes)
        if found.get("again") != [RESULTS, RESULTS]:
            problems.append(f"event {number}, {found.get('place')}: then {found.get('again', 'it crashed or hung')}")
        ended += found.get("ended", False)
    for problem in problems[:20]:
        print(problem)
    print(
        f"{len(problems)} problems; the first use was ended at {ended} of {arguments.count} random places among {events} "
        "(elsewhere in a finalizer, where Python ignores exceptions)"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
