"""What file systems that cannot be written have in common, and what is particular to zip files and packages."""

from __future__ import annotations

import io
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guest import ROOT, Guest, fails

from wasmine.wasi import (
    Errno,
    HostDirectory,
    MemoryFileSystem,
    Overlay,
    PackageFileSystem,
    ReadOnly,
    Symlink,
    ZipFileSystem,
)
from wasmine.wasi.filesystem import Directory, Entry, File, FileSystem, Open, Stat
from wasmine.wasi.layout import Filetype, OFlags

TREE = {"readme.txt": b"read me", "dir/data.bin": bytes(range(256)), "dir/deep/x": b"x"}


def zipped(tree: dict[str, bytes], links: dict[str, str] | None = None) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    file.seek(0)
    return file


def written(path: Path) -> Path:
    for name, content in TREE.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


class UsersOwn(FileSystem):
    """What a user has to write at least."""

    def root(self) -> Directory:
        return UsersDirectory("")


class UsersDirectory(Directory):
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def stat(self) -> Stat:
        return Stat(Filetype.DIRECTORY)

    def entries(self) -> Iterator[Entry]:
        names = {name[len(self.prefix) :].split("/")[0] for name in TREE if name.startswith(self.prefix)}
        for name in names:
            yield Entry(name, self.stat_at(name).filetype)

    def stat_at(self, name: str) -> Stat:
        path = self.prefix + name
        if path in TREE:
            return Stat(Filetype.REGULAR_FILE, len(TREE[path]))
        if any(each.startswith(path + "/") for each in TREE):
            return Stat(Filetype.DIRECTORY)
        raise FileNotFoundError(name)

    def open_directory(self, name: str) -> Directory:
        if self.stat_at(name).filetype is not Filetype.DIRECTORY:
            raise NotADirectoryError(name)
        return UsersDirectory(f"{self.prefix}{name}/")

    def open_file(self, name: str, mode: Open) -> File:
        if mode.changes:
            raise OSError(30, "read-only")
        if self.stat_at(name).filetype is Filetype.DIRECTORY:
            raise IsADirectoryError(name)
        return UsersFile(TREE[self.prefix + name])

    def duplicate(self) -> Directory:
        return self


class UsersFile(File):
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stat(self) -> Stat:
        return Stat(Filetype.REGULAR_FILE, len(self.content))

    def read(self, buffer: memoryview, offset: int) -> int:
        piece = self.content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)


READ_ONLY: dict[str, Callable[[Path], FileSystem]] = {
    "host": lambda path: HostDirectory(written(path), read_only=True),
    "memory": lambda path: ReadOnly(MemoryFileSystem(TREE)),
    "overlay": lambda path: ReadOnly(Overlay(HostDirectory(written(path)))),
    "zip": lambda path: ZipFileSystem(zipped(TREE)),
    "package": lambda path: PackageFileSystem(written(path)),
    "a user's own": lambda path: ReadOnly(UsersOwn()),
}


@pytest.fixture(params=READ_ONLY)
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guest]:
    made = Guest(mounts={"/": READ_ONLY[request.param](tmp_path)})
    with made.wasi:
        yield made


def test_files_are_read(guest: Guest) -> None:
    assert guest.content("readme.txt") == b"read me"
    assert guest.content("dir/../dir/deep/x") == b"x"
    fd = guest.open_to_read("dir/data.bin")
    assert guest.read(fd, 10) == bytes(range(10))
    assert guest.pread(fd, 10, 250) == bytes(range(250, 256))
    assert guest.seek(fd, -1, 2) == 255


def test_files_are_described(guest: Guest) -> None:
    assert guest.stat("dir/data.bin").size == 256
    assert guest.stat("dir/data.bin").filetype is Filetype.REGULAR_FILE
    assert guest.stat("dir").filetype is Filetype.DIRECTORY
    assert guest.fd_stat(guest.open_to_read("readme.txt")).size == 7


def test_directories_are_listed(guest: Guest) -> None:
    assert guest.names() == ["dir", "readme.txt"]
    assert guest.names(guest.open("dir", OFlags.DIRECTORY)) == ["data.bin", "deep"]
    assert [filetype for _, filetype, _ in guest.readdir(ROOT)[2:]] == [Filetype.DIRECTORY, Filetype.REGULAR_FILE]


def test_what_is_missing_is_missing(guest: Guest) -> None:
    for call in (guest.open_to_read, guest.stat, guest.readlink):
        with fails(Errno.NOENT):
            call("missing")
        with fails(Errno.NOENT):
            call("missing/x")
        with fails(Errno.NOTDIR):
            call("readme.txt/x")


def test_nothing_can_be_changed(guest: Guest) -> None:
    for call in (
        lambda: guest.open("readme.txt"),
        lambda: guest.open("readme.txt", OFlags.TRUNC),
        lambda: guest.open("new", OFlags.CREAT),
        lambda: guest.mkdir("new"),
        lambda: guest.unlink("readme.txt"),
        lambda: guest.rmdir("dir"),
        lambda: guest.rename("readme.txt", "new"),
        lambda: guest.link("readme.txt", "new"),
        lambda: guest.symlink("readme.txt", "new"),
        lambda: guest.set_times("readme.txt", 1, 1),
        lambda: guest.set_times(".", 1, 1),
        lambda: guest.call("fd_filestat_set_times", ROOT, 1, 1, 5),
        lambda: guest.call("fd_filestat_set_times", guest.open_to_read("readme.txt"), 1, 1, 5),
    ):
        with fails(Errno.ROFS):
            call()
    assert guest.names() == ["dir", "readme.txt"]


def test_what_exists_cannot_be_created(guest: Guest) -> None:
    with fails(Errno.EXIST, Errno.ROFS):
        guest.open("readme.txt", OFlags.CREAT | OFlags.EXCL)
    fd = guest.open("readme.txt", OFlags.CREAT, rights=1 << 1)
    assert guest.read(fd, 10) == b"read me"


def test_links_in_a_zip_file_are_followed_within_it() -> None:
    guest = Guest(mounts={"/": ZipFileSystem(zipped(TREE, {"link": "dir/deep/x", "dir/up": "..", "out": "../../x"}))})
    assert guest.readlink("link") == "dir/deep/x"
    assert guest.content("link") == b"x"
    assert guest.content("dir/up/readme.txt") == b"read me"
    with fails(Errno.PERM):
        guest.open_to_read("out")


def test_names_in_a_zip_file_that_no_path_can_reach_are_left_out() -> None:
    tree = {"../evil": b"", "/abs": b"", "a/../../evil": b"", "./ok": b"ok", "b//c": b"c"}
    guest = Guest(mounts={"/": ZipFileSystem(zipped(tree))})
    assert guest.names() == ["b", "ok"]
    assert guest.content("b/c") == b"c"


def test_a_zip_file_that_is_damaged_is_an_error_of_reading() -> None:
    data = bytearray(zipped({"a": bytes(1000)}).getvalue())
    data[32:40] = b"\xff" * 8
    guest = Guest(mounts={"/": ZipFileSystem(io.BytesIO(data))})
    with fails(Errno.IO):
        guest.content("a")


def test_a_zip_file_is_opened_by_name_and_has_times(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a", (2001, 2, 3, 4, 5, 6)), "content")
    guest = Guest(mounts={"/": ZipFileSystem(path)})
    assert guest.content("a") == b"content"
    assert guest.stat("a").modified == 981_173_106 * 10**9


def test_a_zip_file_without_a_date_is_fine() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a", (1980, 0, 0, 0, 0, 0)), "content")
    assert Guest(mounts={"/": ZipFileSystem(file)}).stat("a").modified == 0


def test_a_package_is_mounted_by_name_also_from_a_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = {"guest_files/__init__.py": b"", "guest_files/data/a.txt": b"packed"}
    (tmp_path / "packages.zip").write_bytes(zipped(package).getvalue())
    monkeypatch.syspath_prepend(str(tmp_path / "packages.zip"))
    guest = Guest(mounts={"/": PackageFileSystem("guest_files")})
    assert guest.content("data/a.txt") == b"packed"
    assert guest.stat("data/a.txt").size == 6
    monkeypatch.delitem(sys.modules, "guest_files", raising=False)


def test_symbolic_links_of_a_package_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/link").symlink_to("../secret")
    assert Guest(mounts={"/": PackageFileSystem(tmp_path / "package")}).names() == []


def test_links_of_memory_stay_links() -> None:
    guest = Guest(mounts={"/": ReadOnly(MemoryFileSystem({"a": b"a", "link": Symlink("a")}))})
    assert guest.readlink("link") == "a"
    assert guest.content("link") == b"a"
