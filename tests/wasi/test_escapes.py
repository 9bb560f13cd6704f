"""Attempts to reach what was not mounted, and to change what was mounted read-only. None succeeds.

The guest gets the directory `box` (and, read-only, `glass`); everything else in `outside` is out of bounds. Each attack is
a function with a name; whatever errors it meets, nothing outside may have been read, changed, made or removed afterwards,
and nothing in `glass` changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from guest import ALL_RIGHTS, Guest

from wasmine.wasi import HostDirectory, MemoryFileSystem, Overlay, ReadOnly, WasiError
from wasmine.wasi.filesystem import host
from wasmine.wasi.layout import OFlags

pytestmark = pytest.mark.skipif(not host.supported(), reason="host directories cannot be mounted on this system")

BOX, GLASS = 3, 4
SECRET = b"the secret outside"
CREATE = OFlags.CREAT
DIRECTORY = OFlags.DIRECTORY


class Attacker(Guest):
    """A guest that does not mind errors."""

    def __init__(self, outside: Path) -> None:
        self.outside = outside
        self.box = outside / "box"
        self.loot: list[bytes] = []
        super().__init__(
            mounts={"/box": self.box, "/glass": HostDirectory(outside / "glass", read_only=True)},
        )

    def try_to(self, action: Callable[..., object], *arguments: object, **options: object) -> object:
        with suppress(WasiError):
            return action(*arguments, **options)
        return None

    def steal(self, path: str | bytes, at: int = BOX, follow: bool = True) -> None:
        """Read a file, or list a directory, that may be what is out of bounds."""
        for oflags in (0, DIRECTORY):
            with suppress(WasiError):
                fd = self.open(path, oflags, at=at, rights=(1 << 1) | (1 << 14) | (1 << 21), follow=follow)
                with suppress(WasiError):
                    self.loot.append(self.read(fd, 4096))
                with suppress(WasiError):
                    self.loot += [name.encode() for name, _, _ in self.readdir(fd)]
                with suppress(WasiError):
                    self.steal_from(fd)

    def steal_from(self, fd: int) -> None:
        secret = self.open("secret", at=fd, rights=1 << 1)
        self.loot.append(self.read(secret, 4096))

    def damage(self, path: str, at: int = BOX) -> None:
        """Change, make and remove whatever the path means, in every way there is."""
        for oflags in (0, CREATE, OFlags.TRUNC, CREATE | OFlags.TRUNC, CREATE | OFlags.EXCL):
            with suppress(WasiError):
                self.write(self.open(path, oflags, at=at), b"damaged")
        for action in (self.unlink, self.rmdir, self.mkdir):
            self.try_to(action, path, at=at)
        self.try_to(self.symlink, "x", path, at=at)
        self.try_to(self.set_times, path, 1, 1, at=at)
        self.try_to(self.link, path, "stolen", at=at, to=BOX)
        self.try_to(self.rename, path, "taken", at=at, to=BOX)
        self.try_to(self.create, "mine", at=BOX)
        self.try_to(self.link, "mine", path, at=BOX, to=at)
        self.try_to(self.rename, "mine", path, at=BOX, to=at)

    def attack(self, path: str, at: int = BOX) -> None:
        self.steal(path, at)
        self.steal(path, at, follow=False)
        self.try_to(self.stat, path, at=at)
        self.damage(path, at)


Attack = Callable[[Attacker], None]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


# ------------------------------------------------------------------------------------------------- paths that climb


@attack
def parent_directory(guest: Attacker) -> None:
    guest.attack("../secret")


@attack
def parent_directory_itself(guest: Attacker) -> None:
    for path in ("..", "../", "../.", "./..", "../box/.."):
        guest.attack(path)


@attack
def many_parents(guest: Attacker) -> None:
    guest.attack("../" * 50 + str(guest.outside)[1:] + "/secret")


@attack
def down_and_further_up(guest: Attacker) -> None:
    guest.attack("dir/../../secret")
    guest.attack("dir/deep/../../../secret")


@attack
def out_and_in_again(guest: Attacker) -> None:
    with suppress(WasiError):
        guest.loot.append(SECRET if guest.open("../box/dir", DIRECTORY) else b"")


@attack
def parent_through_a_file(guest: Attacker) -> None:
    guest.attack("file/../../secret")


@attack
def parent_through_nothing(guest: Attacker) -> None:
    guest.attack("missing/../../secret")


@attack
def parents_among_slashes_and_dots(guest: Attacker) -> None:
    for path in (".//..//secret", "./././../secret", "dir//../..//secret", "dir/./.././../secret"):
        guest.attack(path)


@attack
def parent_of_an_opened_directory(guest: Attacker) -> None:
    fd = guest.open("dir", DIRECTORY)
    guest.attack("../../secret", at=fd)
    guest.attack("deep/../../../secret", at=fd)


@attack
def opened_directory_by_dot(guest: Attacker) -> None:
    guest.attack("../secret", at=guest.open(".", DIRECTORY))


# ------------------------------------------------------------------------------------------------ paths that are odd


@attack
def absolute_path(guest: Attacker) -> None:
    guest.attack(f"{guest.outside}/secret")
    guest.attack("/" + str(guest.outside) + "/secret")


@attack
def absolute_path_with_the_mounts_name(guest: Attacker) -> None:
    guest.attack("/box/../secret")
    guest.attack("/box/dir/file")


@attack
def nul_in_a_path(guest: Attacker) -> None:
    guest.attack("../secret\0")
    guest.attack("dir\0/../../secret")
    guest.attack("\0../secret")


@attack
def overlong_utf8_dots_and_slashes(guest: Attacker) -> None:
    for path in (b"\xc0\xae\xc0\xae/secret", b"..\xc0\xafsecret", b"\xe0\x80\xae./secret"):
        guest.steal(path)


@attack
def wide_dots_and_slashes(guest: Attacker) -> None:
    for path in ("\uff0e\uff0e/secret", "..\u2215secret", "..\uff0fsecret", "\u2024\u2024/secret"):
        guest.attack(path)


@attack
def backslashes_and_drive_letters(guest: Attacker) -> None:
    for path in ("..\\secret", "C:\\secret", "C:../secret", "\\\\.\\secret", "dir\\..\\..\\secret"):
        guest.attack(path)


@attack
def tilde_and_variables(guest: Attacker) -> None:
    for path in ("~/secret", "$HOME/secret", "~root", "%2e%2e/secret", "..%2fsecret"):
        guest.attack(path)


@attack
def lone_surrogates(guest: Attacker) -> None:
    guest.steal(b"\xed\xa0\x80/../../secret")


@attack
def path_of_the_greatest_length(guest: Attacker) -> None:
    guest.attack("dir/../" * 580 + "../secret")
    guest.attack("./" * 2000 + "../secret")


@attack
def empty_path(guest: Attacker) -> None:
    guest.steal("")
    guest.try_to(guest.rmdir, "")
    guest.try_to(guest.unlink, "")


# ------------------------------------------------------------------------------------------------ symbolic links


@attack
def link_to_a_parent(guest: Attacker) -> None:
    guest.try_to(guest.symlink, "..", "up")
    guest.attack("up/secret")
    guest.attack("up")


@attack
def link_to_an_absolute_path(guest: Attacker) -> None:
    guest.try_to(guest.symlink, f"{guest.outside}/secret", "abs")
    guest.attack("abs")


@attack
def links_that_the_host_made(guest: Attacker) -> None:
    guest.attack("to-secret")
    guest.attack("to-outside/secret")
    guest.attack("to-root/etc/passwd")
    guest.attack("to-relative")


@attack
def link_to_a_link_that_the_host_made(guest: Attacker) -> None:
    guest.symlink("to-outside/secret", "second")
    guest.symlink("dir/../second", "third")
    guest.attack("third")


@attack
def chain_of_links_that_climb_one_by_one(guest: Attacker) -> None:
    guest.mkdir("a")
    guest.mkdir("a/b")
    guest.symlink("..", "a/b/up")
    guest.symlink("b/up/..", "a/up2")
    guest.try_to(guest.symlink, "a/up2/../secret", "far")
    guest.attack("far")
    guest.attack("a/b/up/up2/../secret")


@attack
def climbing_from_where_a_link_leads(guest: Attacker) -> None:
    guest.symlink("dir/deep", "short")
    guest.attack("short/../../../secret")


@attack
def dangling_link_out_made_real_by_creation(guest: Attacker) -> None:
    guest.try_to(guest.symlink, "../made", "maker")
    guest.attack("maker")
    guest.attack("dangling-out")
    guest.try_to(guest.mkdir, "dangling-out/")


@attack
def link_with_a_trailing_slash(guest: Attacker) -> None:
    guest.attack("to-outside/")
    guest.attack("to-outside/.")
    guest.attack("to-outside/../secret")


@attack
def link_in_the_middle_of_a_creation(guest: Attacker) -> None:
    for path in ("to-outside/new", "to-outside/new/", "to-outside/glass/new"):
        guest.attack(path)


@attack
def link_moved_deeper_and_back(guest: Attacker) -> None:
    guest.mkdir("d1")
    guest.mkdir("d1/d2")
    guest.symlink("../../file", "d1/d2/link")  # fine where it is
    guest.rename("d1/d2/link", "link")  # two levels up it means something outside
    guest.attack("link")


@attack
def hard_link_to_a_link_out(guest: Attacker) -> None:
    guest.try_to(guest.link, "to-secret", "hard")
    guest.try_to(guest.link, "to-secret", "hard-followed", follow=True)
    guest.attack("hard")
    guest.attack("hard-followed")


@attack
def hundred_links(guest: Attacker) -> None:
    guest.symlink("../secret", "l0")
    for number in range(100):
        guest.symlink(f"l{number}", f"l{number + 1}")
    guest.attack("l100")
    guest.attack("l30")


@attack
def reading_the_content_of_links_only_tells_their_text(guest: Attacker) -> None:
    for path in ("to-secret", "to-outside/secret", "../secret"):
        content = guest.try_to(guest.readlink, path)
        guest.loot.append(SECRET if content == SECRET.decode() else b"")


# ------------------------------------------------------------------------------------------------ renames and races


@attack
def directory_moved_while_open(guest: Attacker) -> None:
    fd = guest.open("dir/deep", DIRECTORY)
    guest.rename("dir/deep", "shallow")
    guest.attack("../../secret", at=fd)
    guest.attack("../secret", at=fd)


@attack
def directory_moved_out_by_the_host_while_open(guest: Attacker) -> None:
    fd = guest.open("dir/deep", DIRECTORY)
    (guest.box / "dir/deep").rename(guest.outside / "moved")
    guest.steal("../secret", at=fd)
    guest.steal("x/../../secret", at=fd)
    (guest.outside / "moved").rename(guest.box / "dir/deep")


@attack
def directory_replaced_by_a_link_while_open(guest: Attacker) -> None:
    fd = guest.open("dir", DIRECTORY)
    (guest.box / "dir").rename(guest.box / "dir2")
    (guest.box / "dir").symlink_to("..")
    guest.attack("dir/secret")
    guest.attack("../secret", at=fd)
    guest.attack("deep/../../secret", at=fd)


@attack
def rename_over_the_mount(guest: Attacker) -> None:
    for path in (".", "./", "dir/..", ""):
        guest.try_to(guest.rename, "dir", path)
        guest.try_to(guest.rename, path, "dir/in")
        guest.try_to(guest.rmdir, path)
        guest.try_to(guest.unlink, path)


@attack
def names_swapped_by_the_host_while_resolving(guest: Attacker) -> None:
    """A thread changes a directory into a link to outside and back, as fast as it can."""
    stop = threading.Event()
    real, spare, flip = guest.box / "flip", guest.box / "flip-dir", guest.box / "flip-link"
    spare.mkdir()
    (spare / "secret").write_bytes(b"harmless")
    flip.symlink_to("..")

    def swap() -> None:
        while not stop.is_set():
            for source in (spare, flip):
                source.rename(real)
                real.rename(source)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(1500):
            guest.steal("flip/secret")
            guest.try_to(guest.open, "flip/made", CREATE)
            guest.try_to(guest.unlink, "flip/secret2")
            for fd in range(5, 40):
                guest.try_to(guest.close, fd)
    finally:
        stop.set()
        thread.join()


@attack
def file_swapped_for_a_link_while_opening(guest: Attacker) -> None:
    stop = threading.Event()
    real, spare, flip = guest.box / "swap", guest.box / "swap-file", guest.box / "swap-link"
    spare.write_bytes(b"harmless")
    flip.symlink_to("../secret")

    def swap() -> None:
        while not stop.is_set():
            for source in (spare, flip):
                source.rename(real)
                real.rename(source)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(1500):
            guest.steal("swap")
            guest.try_to(guest.write, guest.try_to(guest.open, "swap") or 0, b"damaged")
            for fd in range(5, 40):
                guest.try_to(guest.close, fd)
    finally:
        stop.set()
        thread.join()


# --------------------------------------------------------------------------------------------- descriptors and /proc


@attack
def descriptors_of_the_host(guest: Attacker) -> None:
    host_fd = os.open(guest.outside, os.O_RDONLY)
    try:
        for fd in (host_fd, host_fd | 1 << 31, -1, 1 << 30):
            guest.steal("secret", at=fd & 0xFFFF_FFFF)
            guest.try_to(guest.call, "fd_renumber", fd & 0xFFFF_FFFF, 3)
            guest.try_to(guest.call, "fd_renumber", 3, fd & 0xFFFF_FFFF)
    finally:
        os.close(host_fd)


@attack
def special_directory_of_processes(guest: Attacker) -> None:
    for path in ("/proc/self/root", "/proc/self/cwd", "/dev/fd/3", "/proc/self/fd/3"):
        guest.attack(f"{path}/secret")
    guest.attack("proc-root" + str(guest.outside) + "/secret")
    guest.attack("proc-cwd/secret")


@attack
def files_used_as_directories(guest: Attacker) -> None:
    fd = guest.open("file")
    guest.attack("../secret", at=fd)
    for stream in (0, 1, 2):
        guest.attack("../secret", at=stream)


@attack
def closed_descriptor_is_not_used_again(guest: Attacker) -> None:
    fd = guest.open("dir", DIRECTORY)
    guest.close(fd)
    host_fd = os.open(guest.outside, os.O_RDONLY)  # very likely the number that was closed
    try:
        guest.steal("secret", at=fd)
    finally:
        os.close(host_fd)


@attack
def other_mount_by_its_name(guest: Attacker) -> None:
    for path in ("../glass/pane", "/glass/pane", "glass/pane"):
        guest.damage(path)


# ---------------------------------------------------------------------------------- what was mounted read-only


@attack
def writing_what_is_read_only(guest: Attacker) -> None:
    for path in ("pane", "dir/pane", "new", "dir", "dir/new", "link"):
        guest.damage(path, at=GLASS)


@attack
def moving_out_of_and_into_what_is_read_only(guest: Attacker) -> None:
    guest.file("mine", b"mine")
    guest.mkdir("mydir")
    for name in ("pane", "dir", "link"):
        guest.try_to(guest.rename, name, "x", at=GLASS, to=BOX)
        guest.try_to(guest.rename, "mine", name, at=BOX, to=GLASS)
        guest.try_to(guest.rename, "mydir", name, at=BOX, to=GLASS)
    guest.try_to(guest.rename, "mine", "new", at=BOX, to=GLASS)
    guest.try_to(guest.rename, "pane", "pane2", at=GLASS, to=GLASS)


@attack
def hard_link_between_read_only_and_not(guest: Attacker) -> None:
    guest.try_to(guest.link, "pane", "handle", at=GLASS, to=BOX)
    guest.try_to(guest.write, guest.try_to(guest.open, "handle") or 0, b"damaged")
    guest.file("mine", b"mine")
    guest.try_to(guest.link, "mine", "new", at=BOX, to=GLASS)


@attack
def every_change_through_a_file_opened_to_read(guest: Attacker) -> None:
    for rights in (1 << 1, ALL_RIGHTS & ~(1 << 6 | 1 << 8 | 1 << 22)):
        fd = guest.open("pane", at=GLASS, rights=rights)
        for name, *arguments in (
            ("fd_filestat_set_size", 0),
            ("fd_allocate", 0, 1 << 16),
            ("fd_filestat_set_times", 1, 1, 5),
            ("fd_fdstat_set_flags", 1),
            ("fd_fdstat_set_rights", ALL_RIGHTS, ALL_RIGHTS),
        ):
            guest.try_to(guest.call, name, fd, *arguments)
        guest.try_to(guest.write, fd, b"damaged")
        guest.try_to(guest.pwrite, fd, b"damaged", 0)


@attack
def rights_cannot_be_won_back(guest: Attacker) -> None:
    fd = guest.open("dir", DIRECTORY, at=GLASS, rights=0, inheriting=0)
    guest.try_to(guest.call, "fd_fdstat_set_rights", fd, ALL_RIGHTS, ALL_RIGHTS)
    guest.damage("pane", at=fd)


@attack
def times_of_what_is_read_only(guest: Attacker) -> None:
    for path in ("pane", "dir", ".", "link"):
        for follow in (True, False):
            guest.try_to(guest.set_times, path, 1, 1, at=GLASS, follow=follow)
    guest.try_to(guest.call, "fd_filestat_set_times", GLASS, 1, 1, 5)


@attack
def directory_below_what_is_read_only(guest: Attacker) -> None:
    fd = guest.open("dir", DIRECTORY, at=GLASS)
    for path in ("pane", "new", "../pane"):
        guest.damage(path, at=fd)
    guest.try_to(guest.call, "fd_filestat_set_times", fd, 1, 1, 5)
    guest.try_to(guest.call, "fd_renumber", BOX, fd)


@attack
def pipes_and_devices_do_not_hang(guest: Attacker) -> None:
    os.mkfifo(guest.box / "pipe")
    with suppress(WasiError):
        guest.open("pipe", rights=1 << 6)
    with suppress(WasiError):
        fd = guest.open("pipe", rights=1 << 1, fdflags=4)
        guest.read(fd, 10)


# ------------------------------------------------------------------------------------------------ the proof


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    """What is in a folder, in every detail that an attack could change."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        if folder.name != "glass" and ("box" in path.parts[len(folder.parts) :][:1]):
            continue
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""  # noqa: PTH115
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, status.st_nlink, content)
    return found


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    box, glass = tmp_path / "box", tmp_path / "glass"
    (box / "dir/deep").mkdir(parents=True)
    (glass / "dir").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(SECRET)
    (box / "file").write_bytes(b"inside")
    (box / "dir/file").write_bytes(b"inside")
    (glass / "pane").write_bytes(b"pane")
    (glass / "dir/pane").write_bytes(b"pane")
    (glass / "link").symlink_to("pane")
    (box / "to-secret").symlink_to(tmp_path / "secret")
    (box / "to-relative").symlink_to("../secret")
    (box / "to-outside").symlink_to("..")
    (box / "to-root").symlink_to("/")
    (box / "dangling-out").symlink_to("../made")
    (box / "proc-root").symlink_to("/proc/self/root")
    (box / "proc-cwd").symlink_to("/proc/self/cwd")
    return tmp_path


@pytest.fixture
def attacker(outside: Path) -> Iterator[Attacker]:
    guest = Attacker(outside)
    with guest.wasi:
        yield guest


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_fails(name: str, attacker: Attacker, outside: Path) -> None:
    before = everything(outside), everything(outside / "glass")
    ATTACKS[name](attacker)
    assert not any(SECRET in piece for piece in attacker.loot)
    assert not {b"secret", b"glass"} & set(attacker.loot)
    assert (everything(outside), everything(outside / "glass")) == before


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 40


def test_the_attacker_can_do_what_it_may(attacker: Attacker) -> None:
    """Otherwise the attacks would prove nothing."""
    attacker.steal("file")
    attacker.steal("dir/file")
    attacker.steal("pane", at=GLASS)
    attacker.steal("link", at=GLASS)
    assert attacker.loot.count(b"inside") == 2
    assert attacker.loot.count(b"pane") == 2
    attacker.damage("dir/file")
    assert (attacker.box / "stolen").exists() or (attacker.box / "taken").exists()


@pytest.mark.parametrize("name", ["chain_of_links_that_climb_one_by_one", "down_and_further_up", "link_to_a_parent"])
def test_file_systems_in_memory_have_no_outside_either(name: str, outside: Path) -> None:
    inner = MemoryFileSystem({"secret": SECRET, "box": {"dir": {"deep": {}, "file": "inside"}, "file": "inside"}})
    guest = Attacker(outside)
    with guest.wasi:
        directory = Guest(mounts={"/": inner, "/glass": ReadOnly(Overlay(inner))})
        guest.wasi, guest.functions = directory.wasi, directory.functions
        box = guest.open("box", DIRECTORY)
        guest.call("fd_renumber", box, BOX)
        ATTACKS[name](guest)
    assert not any(SECRET in piece for piece in guest.loot)
    assert inner.to_dict()["secret"] == SECRET
