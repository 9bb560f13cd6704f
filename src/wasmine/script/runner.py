"""Running the commands of a script."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wasmine.errors import (
    DecodeError,
    LinkError,
    Trap,
    TrapKind,
    UnsupportedFeature,
    ValidationError,
    WasmException,
    WasmineError,
)
from wasmine.format.text import script
from wasmine.runtime.function import Function
from wasmine.runtime.globals import Global
from wasmine.runtime.module import Module
from wasmine.runtime.runtime import Runtime
from wasmine.script.report import Remark, Report
from wasmine.script.spectest import spectest
from wasmine.script.trap_messages import trap_kind
from wasmine.script.values import describe_expected, describe_value, fits, matches, to_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wasmine.format.features import Features
    from wasmine.format.types import ValueType
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.runtime import Bounds, EngineName

    # An action's results: internal values with their types.
    Outcome: TypeAlias = list[tuple[Any, ValueType]]

# How long `wait` waits for a thread of a script, in seconds.
PATIENCE: Final = 60.0


def run_script(
    path: str | Path,
    *,
    engine: EngineName = "interpreter",
    bounds: Bounds = "auto",
    features: Features | None = None,
    void: Mapping[int, str] | None = None,
    name: str | None = None,
) -> Report:
    """Run a script file. `features` are on by default; `void` gives lines of commands to skip, with the reason.

    A file that cannot be read, or is no script, is a report with a failure.
    """
    report = Report(name or str(path))
    try:
        data = Path(path).read_bytes()
        text = data.decode()
    except OSError as error:
        report.failures.append(Remark(1, f"cannot read the file: {error.strerror}"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.failures.append(Remark(line, "not a script: malformed UTF-8 encoding"))
    else:
        with Runtime(engine, features=features, bounds=bounds) as runtime:
            _Session(runtime, spectest(runtime), report, void or {}).run_text(text)
    return report


class _Failed(Exception):
    """The command failed, and why."""


class _Skipped(Exception):
    """The command cannot be run, and why."""


class _Session:
    """What the commands of a script, or of one of its threads, work with: the instances and names made so far."""

    def __init__(self, runtime: Runtime, host: dict[str, Any], report: Report, void: Mapping[int, str]) -> None:
        self._runtime = runtime
        self._host = host
        self._report = report
        self._void = void
        self._registered: dict[str, Any] = {"spectest": host}
        # By identifier; None is the last one. A string says why there is none.
        self._instances: dict[str | None, Instance | str] = {None: "no module was instantiated yet"}
        self._definitions: dict[str | None, Module | str] = {None: "no module was defined yet"}
        self._threads: dict[str, tuple[threading.Thread, Report]] = {}

    def run_text(self, text: str) -> None:
        """Run a whole script, up to where it is no script any more."""
        commands: list[script.Command] = []
        try:
            commands.extend(script.parse_script(text))  # what comes before an error is there
        except DecodeError as error:
            self._report.failures.append(Remark(error.line or 1, f"not a script: {error.reason}"))
        self.run(commands)
        for id in list(self._threads):  # nobody has waited for them, but their assertions count
            try:
                self._join(id)
            except _Failed as failed:
                self._report.failures.append(Remark(commands[-1].line, str(failed)))

    def run(self, commands: Sequence[script.Command]) -> None:
        """Run commands in order; each counts as passed, failed or skipped."""
        for command, end in zip(commands, [*(following.line for following in commands[1:]), None], strict=True):
            keyword, run = _COMMANDS[type(command)]
            try:
                self._check_void(command.line, end)
                run(self, command)
            except _Skipped as skipped:
                self._report.skips.append(Remark(command.line, str(skipped)))
            except _Failed as failed:
                self._report.failures.append(Remark(command.line, f"{keyword}: {failed}"))
            except Exception as error:
                # Whatever an engine does wrong is this command's failure and not the end of the run.
                self._report.failures.append(Remark(command.line, f"{keyword}: {_describe(error)}"))
            else:
                self._report.passed += 1

    def _check_void(self, start: int, end: int | None) -> None:
        """Skip the command on line `start` if it, or any line before the next command (`end`), is void."""
        for line, reason in self._void.items():
            if line == start or (start < line and (end is None or line < end)):
                raise _Skipped(reason)

    # Modules

    def _compile(self, source: script.ModuleSource) -> Module:
        return Module(source.parse(), features=self._runtime.features)

    def _instantiate(self, module: Module) -> Instance:
        return self._runtime.instantiate(module, self._registered)

    def _module(self, command: script.Module) -> None:
        self._keep_instance(command.module.id, lambda: self._instantiate(self._compile(command.module)))

    def _definition(self, command: script.Definition) -> None:
        id = command.module.id
        self._definitions[None] = self._definitions[id] = f"the definition on line {command.line} failed"
        self._definitions[None] = self._definitions[id] = self._compile(command.module)

    def _instance(self, command: script.Instance) -> None:
        module = self._definitions.get(command.definition, f"there is no definition ${command.definition}")
        if isinstance(module, str):
            raise _Failed(module)
        self._keep_instance(command.id, lambda: self._instantiate(module))

    def _keep_instance(self, id: str | None, make: Callable[[], Instance]) -> None:
        """Make the last instance, called `id`. Where that fails, commands on it say so."""
        self._instances[None] = self._instances[id] = "its module failed"
        try:
            self._instances[None] = self._instances[id] = make()
        except UnsupportedFeature as error:
            self._instances[None] = self._instances[id] = str(error)
            raise _Skipped(str(error)) from None

    def _find_instance(self, id: str | None) -> Instance:
        instance = self._instances.get(id, f"there is no instance ${id}")
        if isinstance(instance, str):
            raise _Skipped(instance)
        return instance

    def _register(self, command: script.Register) -> None:
        self._registered[command.name] = self._find_instance(command.instance)

    # Actions

    def _act(self, action: script.Action) -> Outcome:
        exports = self._find_instance(action.instance).exports
        export = exports.get(action.name)
        if isinstance(action, script.Get):
            if not isinstance(export, Global):
                raise _Failed(f"there is no exported global {action.name!r}")
            return [(export.get(), export.type.value)]
        if not isinstance(export, Function):
            raise _Failed(f"there is no exported function {action.name!r}")
        type = export.type
        if len(type.params) != len(action.arguments) or not all(map(fits, action.arguments, type.params)):
            raise _Failed(f"{action.name!r} is {export.defined}: the arguments do not fit")
        result = export.invoke(*map(to_value, action.arguments))
        if len(type.results) == 1:
            return [(result, type.results[0])]
        return list(zip(result, type.results, strict=True)) if type.results else []

    def _assert_return(self, command: script.AssertReturn) -> None:
        outcome = self._act(command.action)
        expected = command.results
        if len(outcome) != len(expected) or not all(
            matches(value, type, want) for (value, type), want in zip(outcome, expected, strict=True)
        ):
            wanted = " ".join(map(describe_expected, expected)) or "nothing"
            found = " ".join(describe_value(value, type) for value, type in outcome) or "nothing"
            raise _Failed(f"{command.action.name!r}: expected {wanted}, found {found}")

    def _assert_trap(self, command: script.AssertTrap) -> None:
        trap = _expect(Trap, lambda: self._act(command.action))
        _check_trap(trap, command.message)

    def _assert_exhaustion(self, command: script.AssertExhaustion) -> None:
        trap = _expect(Trap, lambda: self._act(command.action))
        if trap.kind is not TrapKind.STACK_OVERFLOW:
            raise _Failed(f"expected {TrapKind.STACK_OVERFLOW.value!r}, found {trap.kind.value!r}")

    def _assert_exception(self, command: script.AssertException) -> None:
        _expect(WasmException, lambda: self._act(command.action))

    # Modules that are wrong

    def _assert_malformed(self, command: script.AssertMalformed) -> None:
        # What is malformed in code comes to light only when the module is validated.
        _expect((DecodeError, UnsupportedFeature), lambda: self._compile(command.module))

    def _assert_invalid(self, command: script.AssertInvalid) -> None:
        errors: tuple[type[WasmineError], ...] = (ValidationError, UnsupportedFeature)
        _expect((*errors, DecodeError) if command.custom else errors, lambda: self._compile(command.module))

    def _assert_unlinkable(self, command: script.AssertUnlinkable) -> None:
        module = self._compile_wanted(command.module)
        _expect(LinkError, lambda: self._instantiate(module))

    def _assert_uninstantiable(self, command: script.AssertUninstantiable) -> None:
        module = self._compile_wanted(command.module)
        _check_trap(_expect(Trap, lambda: self._instantiate(module)), command.message)

    def _compile_wanted(self, source: script.ModuleSource) -> Module:
        try:
            return self._compile(source)
        except UnsupportedFeature as error:
            raise _Skipped(str(error)) from None

    # Threads

    def _thread(self, command: script.Thread) -> None:
        report = Report(self._report.name)
        session = _Session(self._runtime, self._host, report, self._void)
        for id in command.shared:
            session._instances[id] = self._find_instance(id)
        thread = threading.Thread(target=session.run, args=(command.commands,), daemon=True)
        self._threads[command.id] = thread, report
        thread.start()

    def _wait(self, command: script.Wait) -> None:
        if command.thread not in self._threads:
            raise _Failed(f"there is no thread ${command.thread}")
        self._join(command.thread)

    def _join(self, id: str) -> None:
        thread, report = self._threads.pop(id)
        thread.join(PATIENCE)
        if thread.is_alive():
            raise _Failed(f"thread ${id} did not end in {PATIENCE:g} seconds")
        self._report.add(report)


# How scripts call each command, and what runs it.
_COMMANDS: Final[dict[type, tuple[str, Callable[[_Session, Any], object]]]] = {
    script.Module: ("module", _Session._module),
    script.Definition: ("module definition", _Session._definition),
    script.Instance: ("module instance", _Session._instance),
    script.Register: ("register", _Session._register),
    script.Invoke: ("invoke", _Session._act),
    script.Get: ("get", _Session._act),
    script.AssertReturn: ("assert_return", _Session._assert_return),
    script.AssertTrap: ("assert_trap", _Session._assert_trap),
    script.AssertExhaustion: ("assert_exhaustion", _Session._assert_exhaustion),
    script.AssertException: ("assert_exception", _Session._assert_exception),
    script.AssertMalformed: ("assert_malformed", _Session._assert_malformed),
    script.AssertInvalid: ("assert_invalid", _Session._assert_invalid),
    script.AssertUnlinkable: ("assert_unlinkable", _Session._assert_unlinkable),
    script.AssertUninstantiable: ("assert_uninstantiable", _Session._assert_uninstantiable),
    script.Thread: ("thread", _Session._thread),
    script.Wait: ("wait", _Session._wait),
}


def _expect(expected: Any, attempt: Callable[[], object]) -> Any:
    """The exception that `attempt` must raise."""
    try:
        attempt()
    except expected as error:
        return error
    except WasmineError as error:
        raise _Failed(f"expected {_names(expected)}, found {_describe(error)}") from None
    raise _Failed(f"expected {_names(expected)}, but nothing was raised")


def _check_trap(trap: Trap, message: str) -> None:
    kind = trap_kind(message)
    if trap.kind is not kind:
        known = "" if kind else " (words that the runner does not know)"
        raise _Failed(f"expected the trap {message!r}{known}, found {trap.kind.value!r}")


def _names(expected: type | tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in (expected if isinstance(expected, tuple) else (expected,)))


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
