"""`WASI`: the operating system that one guest sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.errors import WasmineError
from wasmine.format.types import I32, I64, FuncType
from wasmine.wasi import rights
from wasmine.wasi.clocks import Clock, SystemClock
from wasmine.wasi.descriptors import DescriptorTable, OpenDirectory
from wasmine.wasi.errno import WasiError, from_os_error
from wasmine.wasi.guest_memory import GuestMemory
from wasmine.wasi.mounts import file_system
from wasmine.wasi.preview1 import FUNCTIONS, MODULES
from wasmine.wasi.quota import Quota
from wasmine.wasi.random import seeded_random, system_random
from wasmine.wasi.streams import InputStream, OutputBudget, OutputStream, sink, source
from wasmine.wasi.unstable import REPLACED
from wasmine.wasi.waiting import Waiting

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wasmine.format.types import ValueType
    from wasmine.runtime.host import Caller
    from wasmine.wasi.mounts import Mount
    from wasmine.wasi.preview1 import WasiFunction
    from wasmine.wasi.random import RandomSource
    from wasmine.wasi.streams import Input, Output
    from wasmine.wasi.trace import Tracer

_MASKS: dict[ValueType, int] = {I32: 0xFFFF_FFFF, I64: 0xFFFF_FFFF_FFFF_FFFF}


class WASI:
    """Arguments, environment, files, clocks and randomness of one guest; `imports()` is what to instantiate it with.

    Nothing is given unless asked for: no arguments, no environment, no files, input at its end, output thrown away. The
    clocks and the randomness are the host's unless others are given.

    `args[0]` is the program's name. `stdin` is bytes, text, a file object, a descriptor of the host or a function; `stdout`
    and `stderr` are a file object, a bytearray, a descriptor of the host or a function (see `wasi.streams`). `mounts` maps
    the guest's directories to host paths, dicts of files, or file systems (`wasi.filesystem`). `clock` is a `Clock`;
    `random` a seed, or a function that gives n bytes. `listen` are listening sockets; they get the descriptors after the
    mounts. `quota` bounds what the guest may take. `tracer` sees every call (`wasi.trace`).

    A WASI serves one guest, in one thread at a time. Use it as a context manager or close it: it holds open directories.
    """

    def __init__(
        self,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        *,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        mounts: Mapping[str, Mount] | None = None,
        clock: Clock | None = None,
        random: int | RandomSource | None = None,
        listen: Iterable[socket.socket] = (),
        quota: Quota | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.args = [_argument(argument) for argument in args]
        self.environ = [_variable(key, value) for key, value in (env or {}).items()]
        self.clock: Clock = clock or SystemClock()
        self.random: RandomSource = (
            system_random if random is None else seeded_random(random) if isinstance(random, int) else random
        )
        self.quota = quota or Quota()
        self.tracer = tracer
        self.waiting = Waiting()
        self.descriptors = DescriptorTable(self.quota.open_files)
        budget = OutputBudget(self.quota.output_bytes)
        self.descriptors.add(InputStream(source(stdin), self.waiting))
        self.descriptors.add(OutputStream(sink(stdout), self.waiting, budget))
        self.descriptors.add(OutputStream(sink(stderr), self.waiting, budget))
        try:
            for name, mount in (mounts or {}).items():
                self._mount(name, file_system(mount))
            for listener in listen:
                self._listen(listener)
        except BaseException:
            self.close()
            raise

    def _mount(self, name: str, mount: Any) -> None:
        if not name or "\0" in name:
            raise ValueError(f"invalid mount: {name!r} is no name for a guest's directory")
        root = mount.root()
        self.descriptors.add(OpenDirectory(root, rights.DIRECTORY, rights.DIRECTORY | rights.FILE, name=name))

    def _listen(self, listener: socket.socket) -> None:
        from wasmine.wasi.sockets import Listener

        self.descriptors.add(Listener(listener, self.waiting))

    def imports(self) -> dict[str, dict[str, Callable[..., Any]]]:
        """Host functions by import module and name, for `Runtime.instantiate`; other modules can be added to the dict."""
        return {
            module: {
                function.name: self._host_function(module, function)
                for function in (
                    REPLACED.get(each.name, each) if module == "wasi_unstable" else each for each in FUNCTIONS
                )
            }
            for module in MODULES
        }

    def _host_function(self, module: str, function: WasiFunction) -> Callable[..., Any]:
        """A function of the table as a callable for the runtime, with the types that an import must have."""
        body = function.body
        masks, declared = _shape(function)
        system = self

        def call(caller: Caller, *arguments: int) -> int:
            unsigned = [argument & mask for argument, mask in zip(arguments, masks, strict=True)]
            try:
                body(system, _memory_of(caller), *unsigned)
            except WasiError as error:
                return error.errno.value
            except OSError as error:
                return from_os_error(error).value
            return 0

        wrapped: Callable[..., Any] = call if self.tracer is None else self.tracer.traced(module, function, call)
        # Declare the type, so that linking can check an import's against it.
        wrapped.__name__ = wrapped.__qualname__ = function.name
        wrapped.__wasm_type__ = declared  # type: ignore[attr-defined]
        return wrapped

    def close(self) -> None:
        """Close what the guest has open."""
        self.descriptors.close_all()

    def __enter__(self) -> WASI:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _memory_of(caller: Caller) -> GuestMemory:
    """The caller's memory; an empty one if it has none, for `proc_exit` and others that need none."""
    try:
        return GuestMemory(caller.memory.view())
    except WasmineError:
        return GuestMemory(memoryview(b""))


_shapes: dict[int, tuple[list[int], FuncType]] = {}  # by id: the table of functions is there for ever


def _shape(function: WasiFunction) -> tuple[list[int], FuncType]:
    """What makes arguments unsigned, and the type."""
    found = _shapes.get(id(function))
    if found is None:
        types = function.types
        result = (I32,) if function.returns_errno else ()
        found = _shapes[id(function)] = [_MASKS[type] for type in types], FuncType(types, result)
    return found


def _argument(argument: str) -> bytes:
    if "\0" in argument:
        raise ValueError(f"args invalid: contains NUL character: {argument!r}")
    return argument.encode(errors="surrogateescape")


def _variable(key: str, value: str) -> bytes:
    if not key:
        raise ValueError("environ invalid: empty key")
    if "=" in key:
        raise ValueError(f"environ invalid: key contains '=' character: {key!r}")
    if "\0" in key or "\0" in value:
        raise ValueError(f"environ invalid: contains NUL character: {key!r}")
    return f"{key}={value}".encode(errors="surrogateescape")
