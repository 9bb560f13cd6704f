"""The table of WASI preview 1's functions: names, parameters, groups, and what does the work.

Types, host-call logs and the import namespace all come from this one table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.format.types import I32, I64
from wasmine.record import record
from wasmine.wasi import files, paths, poll, process, sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import ValueType

# What a parameter means -> the wasm parameters it stands for. `text` is an address and a length; `out:` is an address
# that a result of that meaning is written to.
_WIDTHS: dict[str, tuple[ValueType, ...]] = {
    "text": (I32, I32),
    "size": (I64,),
    "delta": (I64,),
    "time": (I64,),
    "rights": (I64,),
    "cookie": (I64,),
}


@record
class Parameter:
    """One parameter as the specification names it."""

    name: str
    meaning: str

    @property
    def types(self) -> tuple[ValueType, ...]:
        """The wasm types of what is passed for it."""
        return _WIDTHS.get(self.meaning, (I32,))

    @property
    def is_result(self) -> bool:
        """Whether it is the address of a result."""
        return self.meaning.startswith("out:")


@record
class WasiFunction:
    """One function. `group` is for logs; `body(system, memory, *arguments)` raises `WasiError` or returns None."""

    name: str
    group: str
    parameters: tuple[Parameter, ...]
    body: Callable[..., None]
    returns_errno: bool = True

    @property
    def types(self) -> tuple[ValueType, ...]:
        """The wasm parameter types."""
        return tuple(type for parameter in self.parameters for type in parameter.types)


def _function(group: str, body: Callable[..., None], parameters: str = "", **options: Any) -> WasiFunction:
    parsed = []
    for each in parameters.split():
        name, _, meaning = each.partition(":")
        parsed.append(Parameter(name, meaning))
    return WasiFunction(body.__name__, group, tuple(parsed), body, **options)


GROUPS = ("clock", "filesystem", "poll", "proc", "random", "sock")

FUNCTIONS: tuple[WasiFunction, ...] = (
    _function("proc", process.args_get, "argv:address argv_buf:address"),
    _function("proc", process.args_sizes_get, "argc:out:u32 argv_len:out:u32"),
    _function("proc", process.environ_get, "environ:address environ_buf:address"),
    _function("proc", process.environ_sizes_get, "environc:out:u32 environ_len:out:u32"),
    _function("clock", process.clock_res_get, "id:clock resolution:out:u64"),
    _function("clock", process.clock_time_get, "id:clock precision:time timestamp:out:u64"),
    _function("filesystem", files.fd_advise, "fd:fd offset:size len:size advice:advice"),
    _function("filesystem", files.fd_allocate, "fd:fd offset:size len:size"),
    _function("filesystem", files.fd_close, "fd:fd"),
    _function("filesystem", files.fd_datasync, "fd:fd"),
    _function("filesystem", files.fd_fdstat_get, "fd:fd stat:out:fdstat"),
    _function("filesystem", files.fd_fdstat_set_flags, "fd:fd flags:fdflags"),
    _function("filesystem", files.fd_fdstat_set_rights, "fd:fd fs_rights_base:rights fs_rights_inheriting:rights"),
    _function("filesystem", files.fd_filestat_get, "fd:fd filestat:out:filestat"),
    _function("filesystem", files.fd_filestat_set_size, "fd:fd size:size"),
    _function("filesystem", files.fd_filestat_set_times, "fd:fd atim:time mtim:time fst_flags:fstflags"),
    _function("filesystem", files.fd_pread, "fd:fd iovs:address iovs_len:count offset:size nread:out:u32"),
    _function("filesystem", files.fd_prestat_dir_name, "fd:fd path:address path_len:count"),
    _function("filesystem", files.fd_prestat_get, "fd:fd prestat:out:prestat"),
    _function("filesystem", files.fd_pwrite, "fd:fd iovs:address iovs_len:count offset:size nwritten:out:u32"),
    _function("filesystem", files.fd_read, "fd:fd iovs:address iovs_len:count nread:out:u32"),
    _function("filesystem", files.fd_readdir, "fd:fd buf:address buf_len:count cookie:cookie bufused:out:u32"),
    _function("filesystem", files.fd_renumber, "fd:fd to:fd"),
    _function("filesystem", files.fd_seek, "fd:fd offset:delta whence:whence newoffset:out:u64"),
    _function("filesystem", files.fd_sync, "fd:fd"),
    _function("filesystem", files.fd_tell, "fd:fd offset:out:u64"),
    _function("filesystem", files.fd_write, "fd:fd iovs:address iovs_len:count nwritten:out:u32"),
    _function("filesystem", paths.path_create_directory, "fd:fd path:text"),
    _function("filesystem", paths.path_filestat_get, "fd:fd flags:lookupflags path:text filestat:out:filestat"),
    _function(
        "filesystem",
        paths.path_filestat_set_times,
        "fd:fd flags:lookupflags path:text atim:time mtim:time fst_flags:fstflags",
    ),
    _function("filesystem", paths.path_link, "old_fd:fd old_flags:lookupflags old_path:text new_fd:fd new_path:text"),
    _function(
        "filesystem",
        paths.path_open,
        "fd:fd dirflags:lookupflags path:text oflags:oflags fs_rights_base:rights fs_rights_inheriting:rights "
        "fdflags:fdflags opened_fd:out:u32",
    ),
    _function("filesystem", paths.path_readlink, "fd:fd path:text buf:address buf_len:count bufused:out:u32"),
    _function("filesystem", paths.path_remove_directory, "fd:fd path:text"),
    _function("filesystem", paths.path_rename, "fd:fd old_path:text new_fd:fd new_path:text"),
    _function("filesystem", paths.path_symlink, "old_path:text fd:fd new_path:text"),
    _function("filesystem", paths.path_unlink_file, "fd:fd path:text"),
    _function("poll", poll.poll_oneoff, "in:address out:address nsubscriptions:count nevents:out:u32"),
    _function("proc", process.proc_exit, "rval:count", returns_errno=False),
    _function("proc", process.proc_raise, "sig:count"),
    _function("proc", process.sched_yield),
    _function("random", process.random_get, "buf:address buf_len:count"),
    _function("sock", sockets.sock_accept, "fd:fd flags:fdflags opened_fd:out:u32"),
    _function(
        "sock",
        sockets.sock_recv,
        "fd:fd ri_data:address ri_data_len:count ri_flags:riflags ro_datalen:out:u32 ro_flags:out:u16",
    ),
    _function("sock", sockets.sock_send, "fd:fd si_data:address si_data_len:count si_flags:count so_datalen:out:u32"),
    _function("sock", sockets.sock_shutdown, "fd:fd how:sdflags"),
)

MODULES = ("wasi_snapshot_preview1", "wasi_unstable")
