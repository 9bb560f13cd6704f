"""What every file system that can be written does, through the functions that a guest calls."""

from __future__ import annotations

import pytest
from guest import ALL_RIGHTS, ROOT, Guest, fails

from wasmine.wasi import Errno
from wasmine.wasi.layout import Filetype, OFlags


def test_what_is_written_can_be_read(guest: Guest) -> None:
    guest.file("a.txt", b"hello")
    assert guest.content("a.txt") == b"hello"
    assert guest.stat("a.txt").size == 5
    assert guest.stat("a.txt").filetype is Filetype.REGULAR_FILE


def test_several_buffers_are_written_and_read_in_order(guest: Guest) -> None:
    fd = guest.create("a")
    assert guest.write(fd, b"one", b"", b"two") == 6
    guest.seek(fd, 0)
    assert guest.read(fd, 2, 0, 1, 10) == b"onetwo"
    assert guest.read(fd, 10) == b""


def test_position_is_moved_by_reading_writing_and_seeking(guest: Guest) -> None:
    fd = guest.create("a", b"0123456789")
    assert guest.tell(fd) == 10
    assert guest.seek(fd, 2) == 2
    assert guest.read(fd, 3) == b"234"
    assert guest.seek(fd, -1, 1) == 4
    assert guest.seek(fd, -2, 2) == 8
    assert guest.write(fd, b"xyz") == 3
    assert guest.tell(fd) == 11
    assert guest.content("a") == b"01234567xyz"


def test_positioned_reads_and_writes_leave_the_position_alone(guest: Guest) -> None:
    fd = guest.create("a", b"0123456789")
    assert guest.pread(fd, 3, 4) == b"456"
    assert guest.pread(fd, 3, 100) == b""
    assert guest.pwrite(fd, b"AB", 1) == 2
    assert guest.tell(fd) == 10
    assert guest.content("a") == b"0AB3456789"


def test_a_gap_is_filled_with_zeros(guest: Guest) -> None:
    fd = guest.create("a", b"x")
    guest.seek(fd, 4)
    guest.write(fd, b"y")
    assert guest.content("a") == b"x\0\0\0y"


@pytest.mark.parametrize(("delta", "whence"), [(-1, 0), (-1, 1), (-2, 2)])
def test_there_is_no_position_before_the_start(guest: Guest, delta: int, whence: int) -> None:
    fd = guest.create("a", b"")
    with fails(Errno.INVAL):
        guest.seek(fd, delta, whence)


def test_whence_is_checked(guest: Guest) -> None:
    fd = guest.create("a")
    with fails(Errno.INVAL):
        guest.seek(fd, 0, 3)


def test_appending_writes_at_the_end_wherever_the_position_is(guest: Guest) -> None:
    guest.file("a", b"one")
    fd = guest.open("a", fdflags=1)
    guest.seek(fd, 0)
    guest.write(fd, b"two")
    assert guest.tell(fd) == 6
    guest.file("b", b"")
    other = guest.open("a", fdflags=1)
    guest.write(other, b"three")
    guest.write(fd, b"four")
    assert guest.content("a") == b"onetwothreefour"


def test_appending_can_be_switched_on_and_off(guest: Guest) -> None:
    fd = guest.create("a", b"abc")
    guest.seek(fd, 0)
    guest.call("fd_fdstat_set_flags", fd, 1)
    assert guest.fdstat(fd).flags == 1
    guest.write(fd, b"d")
    guest.call("fd_fdstat_set_flags", fd, 0)
    guest.seek(fd, 0)
    guest.write(fd, b"A")
    assert guest.content("a") == b"Abcd"


def test_a_file_can_be_made_shorter_and_longer(guest: Guest) -> None:
    fd = guest.create("a", b"abcdef")
    guest.call("fd_filestat_set_size", fd, 3)
    assert guest.content("a") == b"abc"
    guest.call("fd_filestat_set_size", fd, 5)
    assert guest.content("a") == b"abc\0\0"


def test_allocation_grows_and_never_shrinks(guest: Guest) -> None:
    fd = guest.create("a", b"abc")
    guest.call("fd_allocate", fd, 0, 10)
    assert guest.fd_stat(fd).size == 10
    guest.call("fd_allocate", fd, 0, 2)
    assert guest.fd_stat(fd).size == 10
    assert guest.content("a") == b"abc" + bytes(7)


def test_advice_and_synchronization_succeed(guest: Guest) -> None:
    fd = guest.create("a", b"abc")
    for advice in range(6):
        guest.call("fd_advise", fd, 0, 3, advice)
    with fails(Errno.INVAL):
        guest.call("fd_advise", fd, 0, 3, 6)
    guest.call("fd_sync", fd)
    guest.call("fd_datasync", fd)
    guest.call("fd_sync", ROOT)


def test_opening_creates_only_when_asked(guest: Guest) -> None:
    with fails(Errno.NOENT):
        guest.open("a")
    guest.file("a", b"x")
    with fails(Errno.EXIST):
        guest.open("a", OFlags.CREAT | OFlags.EXCL)
    assert guest.read(guest.open("a", OFlags.CREAT), 5) == b"x"
    guest.open("a", OFlags.TRUNC)
    assert guest.content("a") == b""
    guest.open("b", OFlags.CREAT | OFlags.EXCL)
    assert guest.names() == ["a", "b"]


def test_a_file_is_no_directory_and_a_directory_no_file(guest: Guest) -> None:
    guest.file("file")
    guest.mkdir("dir")
    with fails(Errno.NOTDIR):
        guest.open("file", OFlags.DIRECTORY)
    with fails(Errno.NOTDIR):
        guest.open("file/")
    with fails(Errno.NOTDIR):
        guest.open("file/x")
    with fails(Errno.NOTDIR):
        guest.stat("file/")
    with fails(Errno.ISDIR):
        guest.open("dir", OFlags.TRUNC)
    with fails(Errno.ISDIR):
        guest.call("path_open", ROOT, 1, *guest.text("dir"), OFlags.DIRECTORY, ALL_RIGHTS, 0, 0, 0)
    with fails(Errno.ISDIR, Errno.EXIST):
        guest.open("dir", OFlags.CREAT | OFlags.EXCL)
    with fails(Errno.ISDIR):
        guest.open("dir/", OFlags.CREAT)
    with fails(Errno.ISDIR):
        guest.open("missing/", OFlags.CREAT)
    assert guest.names() == ["dir", "file"]


def test_directories_are_made_and_removed(guest: Guest) -> None:
    guest.mkdir("a")
    guest.mkdir("a/b/")
    assert guest.stat("a/b").filetype is Filetype.DIRECTORY
    with fails(Errno.EXIST):
        guest.mkdir("a")
    with fails(Errno.NOENT):
        guest.mkdir("x/y")
    with fails(Errno.NOTEMPTY):
        guest.rmdir("a")
    guest.rmdir("a/b/")
    guest.rmdir("a")
    with fails(Errno.NOENT):
        guest.rmdir("a")
    guest.file("file")
    with fails(Errno.NOTDIR):
        guest.rmdir("file")
    with fails(Errno.INVAL):
        guest.rmdir(".")


def test_a_removed_directory_stays_open_but_takes_nothing(guest: Guest) -> None:
    guest.mkdir("a")
    fd = guest.open("a", OFlags.DIRECTORY)
    guest.rmdir("a")
    with fails(Errno.NOENT):
        guest.mkdir("b", at=fd)
    with fails(Errno.NOENT):
        guest.create("b", at=fd)
    assert guest.names(fd) == []
    assert guest.fd_stat(fd).filetype is Filetype.DIRECTORY


def test_files_are_unlinked_and_stay_open(guest: Guest) -> None:
    fd = guest.create("a", b"abc")
    guest.unlink("a")
    assert guest.names() == []
    assert guest.pread(fd, 3, 0) == b"abc"
    guest.write(fd, b"d")
    assert guest.fd_stat(fd).size == 4
    with fails(Errno.NOENT):
        guest.unlink("a")
    guest.mkdir("dir")
    with fails(Errno.ISDIR, Errno.PERM):
        guest.unlink("dir")
    guest.file("file")
    with fails(Errno.NOTDIR):
        guest.unlink("file/")


def test_files_are_renamed(guest: Guest) -> None:
    guest.file("a", b"a")
    guest.file("b", b"b")
    guest.mkdir("dir")
    guest.rename("a", "c")
    assert guest.content("c") == b"a"
    guest.rename("c", "b")
    assert guest.content("b") == b"a"
    guest.rename("b", "dir/b")
    assert guest.names() == ["dir"]
    assert guest.content("dir/b") == b"a"
    with fails(Errno.NOENT):
        guest.rename("b", "x")
    guest.mkdir("other")
    with fails(Errno.ISDIR):
        guest.rename("dir/b", "other")
    with fails(Errno.NOTDIR):
        guest.rename("dir/b", "x/")


def test_directories_are_renamed(guest: Guest) -> None:
    guest.mkdir("a")
    guest.file("a/x", b"x")
    guest.rename("a", "b")
    assert guest.content("b/x") == b"x"
    guest.mkdir("empty")
    guest.rename("b/", "empty/")
    assert guest.content("empty/x") == b"x"
    guest.mkdir("full")
    guest.file("full/y")
    with fails(Errno.NOTEMPTY, Errno.EXIST):
        guest.rename("empty", "full")
    guest.file("file")
    with fails(Errno.NOTDIR):
        guest.rename("empty", "file")
    with fails(Errno.INVAL):
        guest.rename("full", "full/in")
    with fails(Errno.BUSY):
        guest.rename(".", "x")


def test_renaming_something_to_itself_does_nothing(guest: Guest) -> None:
    guest.file("a", b"a")
    guest.rename("a", "a")
    assert guest.content("a") == b"a"


def test_a_directory_stays_the_same_when_it_is_renamed(guest: Guest) -> None:
    guest.mkdir("a")
    fd = guest.open("a", OFlags.DIRECTORY)
    guest.rename("a", "b")
    guest.close(guest.create("file", at=fd))
    assert guest.stat("b/file").size == 0


def test_hard_links_are_the_same_file(guest: Guest) -> None:
    guest.file("a", b"abc")
    guest.link("a", "b")
    assert guest.stat("a").inode == guest.stat("b").inode
    assert guest.stat("a").links == 2
    fd = guest.open("b")
    guest.write(fd, b"X")
    assert guest.content("a") == b"Xbc"
    guest.unlink("a")
    assert guest.stat("b").links == 1
    assert guest.content("b") == b"Xbc"


def test_hard_links_that_cannot_be(guest: Guest) -> None:
    guest.file("a")
    guest.mkdir("dir")
    with fails(Errno.NOENT):
        guest.link("x", "b")
    with fails(Errno.EXIST):
        guest.link("a", "dir")
    with fails(Errno.PERM, Errno.ACCES):
        guest.link("dir", "b")
    with fails(Errno.NOENT):
        guest.link("a", "b/")
    with fails(Errno.INVAL):
        guest.link("a", "b", follow=True)


def test_symbolic_links_are_followed_where_that_is_meant(guest: Guest) -> None:
    guest.mkdir("dir")
    guest.file("dir/file", b"text")
    guest.symlink("dir/file", "link")
    guest.symlink("dir", "way")
    guest.symlink("../way/file", "dir/back")
    assert guest.readlink("link") == "dir/file"
    for path in ("link", "way/file", "dir/back", "way/back", "way/../link"):
        assert guest.content(path) == b"text"
    assert guest.stat("link").filetype is Filetype.REGULAR_FILE
    assert guest.stat("link", follow=False).filetype is Filetype.SYMBOLIC_LINK
    assert guest.stat("link", follow=False).size == len("dir/file")
    assert guest.stat("way/", follow=False).filetype is Filetype.DIRECTORY
    with fails(Errno.LOOP):
        guest.open("link", follow=False)


def test_a_symbolic_link_can_be_renamed_linked_and_unlinked_itself(guest: Guest) -> None:
    guest.file("file", b"x")
    guest.symlink("file", "a")
    guest.rename("a", "b")
    guest.link("b", "c")
    assert guest.readlink("b") == guest.readlink("c") == "file"
    guest.unlink("b")
    assert guest.content("file") == b"x"
    assert guest.content("c") == b"x"


def test_dangling_symbolic_links(guest: Guest) -> None:
    guest.symlink("target", "link")
    with fails(Errno.NOENT):
        guest.open("link")
    with fails(Errno.NOENT):
        guest.stat("link")
    with fails(Errno.EXIST):
        guest.open("link", OFlags.CREAT | OFlags.EXCL)
    with fails(Errno.EXIST):
        guest.mkdir("link")
    with fails(Errno.EXIST):
        guest.symlink("x", "link")
    guest.close(guest.open("link", OFlags.CREAT))
    assert guest.names() == ["link", "target"]


def test_a_link_is_cut_off_at_the_end_of_the_buffer(guest: Guest) -> None:
    guest.symlink("target", "link")
    assert guest.readlink("link", 3) == "tar"
    guest.file("file")
    with fails(Errno.INVAL):
        guest.readlink("file")


def test_circles_of_links_end(guest: Guest) -> None:
    guest.symlink("b", "a")
    guest.symlink("a", "b")
    guest.symlink("self", "self")
    for path in ("a", "self", "self/x", "a/b/c"):
        with fails(Errno.LOOP):
            guest.stat(path)


def test_dots_and_slashes_in_paths(guest: Guest) -> None:
    guest.mkdir("a")
    guest.mkdir("a/b")
    guest.file("a/b/c", b"c")
    for path in ("./a/b/c", "a//b///c", "a/./b/./c", "a/b/../b/c", "a/../a/b/../../a/b/c"):
        assert guest.content(path) == b"c"
    assert guest.stat(".").filetype is Filetype.DIRECTORY
    assert guest.stat("a/..").inode == guest.stat(".").inode
    with fails(Errno.NOENT):
        guest.stat("x/../a")
    with fails(Errno.NOTDIR):
        guest.stat("a/b/c/..")
    with fails(Errno.NOENT):
        guest.stat("")


def test_times_are_set_and_kept(guest: Guest) -> None:
    guest.file("a")
    guest.set_times("a", 1_000_000_007, 2_000_000_009)
    found = guest.stat("a")
    assert (found.accessed, found.modified) == (1_000_000_007, 2_000_000_009)
    guest.call("path_filestat_set_times", ROOT, 1, *guest.text("a"), 5, 6, 4)
    found = guest.stat("a")
    assert (found.accessed, found.modified) == (1_000_000_007, 6)
    fd = guest.open("a")
    guest.call("fd_filestat_set_times", fd, 3_000_000_000, 0, 1 | 8)
    found = guest.fd_stat(fd)
    assert found.accessed == 3_000_000_000
    assert found.modified > 1_000_000_000_000


def test_times_of_a_directory_and_of_a_link_itself(guest: Guest) -> None:
    guest.mkdir("dir")
    guest.symlink("dir", "link")
    before = guest.stat("dir").modified
    guest.set_times("link", 1, 2_000, follow=False)
    assert guest.stat("link", follow=False).modified == 2_000
    assert guest.stat("dir").modified == before
    guest.set_times("dir", 1, 3_000)
    assert guest.stat("dir").modified == 3_000
    fd = guest.open("dir", OFlags.DIRECTORY)
    guest.call("fd_filestat_set_times", fd, 1, 4_000, 5)
    assert guest.stat("dir").modified == 4_000


@pytest.mark.parametrize("flags", [1 | 2, 4 | 8, 16])
def test_a_time_is_either_given_or_now(guest: Guest, flags: int) -> None:
    fd = guest.create("a")
    with fails(Errno.INVAL):
        guest.call("fd_filestat_set_times", fd, 0, 0, flags)
    with fails(Errno.INVAL):
        guest.call("path_filestat_set_times", ROOT, 0, *guest.text("a"), 0, 0, flags)


def test_a_directory_is_listed_with_itself_and_its_parent(guest: Guest) -> None:
    guest.mkdir("dir")
    guest.file("file")
    guest.symlink("file", "link")
    assert [(name, filetype) for name, filetype, _ in guest.readdir(ROOT)] == [
        (".", Filetype.DIRECTORY),
        ("..", Filetype.DIRECTORY),
        ("dir", Filetype.DIRECTORY),
        ("file", Filetype.REGULAR_FILE),
        ("link", Filetype.SYMBOLIC_LINK),
    ]
    with fails(Errno.NOTDIR):
        guest.readdir(guest.open("file"))


def test_a_directory_can_be_listed_in_pieces(guest: Guest) -> None:
    expected = sorted(f"file{number:03}" for number in range(100))
    for name in expected:
        guest.file(name)
    found: list[str] = []
    cookie = 0
    while entries := guest.readdir(ROOT, cookie, 200):
        found += [name for name, _, _ in entries]
        cookie = entries[-1][2]
    assert found == [".", "..", *expected]


def test_cookies_stay_valid_while_files_go(guest: Guest) -> None:
    for number in range(10):
        guest.file(f"file{number}")
    cookie = guest.readdir(ROOT, 0, 24 * 4 + 20)[-1][2]
    guest.unlink("file0")
    guest.unlink("file1")
    rest = [name for name, _, _ in guest.readdir(ROOT, cookie)]
    assert rest[-1] == "file9"
    assert len(rest) == len(set(rest))
    assert guest.names() == [f"file{number}" for number in range(2, 10)]


def test_a_listing_that_fills_the_buffer_says_so(guest: Guest) -> None:
    guest.file("a-rather-long-name")
    ((buffer, size),) = guest.room(60)
    guest.call("fd_readdir", ROOT, buffer, size, 0, 0)
    assert guest.u32() == 60
    guest.call("fd_readdir", ROOT, buffer, 0, 0, 0)
    assert guest.u32() == 0


def test_an_open_directory_is_a_root_of_its_own(guest: Guest) -> None:
    guest.mkdir("a")
    guest.file("secret")
    fd = guest.open("a", OFlags.DIRECTORY)
    guest.close(guest.create("x", at=fd))
    assert guest.names(fd) == ["x"]
    with fails(Errno.PERM):
        guest.open("../secret", at=fd)
    guest.rename("x", "y", at=fd, to=ROOT)
    assert guest.names() == ["a", "secret", "y"]


def test_a_directory_opened_without_saying_so(guest: Guest) -> None:
    guest.mkdir("a")
    fd = guest.open_to_read("a")
    assert guest.fdstat(fd).filetype is Filetype.DIRECTORY
    with fails(Errno.BADF):
        guest.read(fd)


def test_what_only_files_can_do_fails_on_directories(guest: Guest) -> None:
    for call in (
        lambda: guest.read(ROOT),
        lambda: guest.write(ROOT, b"x"),
        lambda: guest.pread(ROOT, 1, 0),
        lambda: guest.pwrite(ROOT, b"x", 0),
        lambda: guest.seek(ROOT, 0),
        lambda: guest.tell(ROOT),
        lambda: guest.call("fd_advise", ROOT, 0, 0, 0),
        lambda: guest.call("fd_allocate", ROOT, 0, 1),
        lambda: guest.call("fd_filestat_set_size", ROOT, 0),
    ):
        with fails(Errno.BADF):
            call()


def test_what_only_directories_can_do_fails_on_files(guest: Guest) -> None:
    fd = guest.create("file")
    for call in (
        lambda: guest.open("x", at=fd),
        lambda: guest.mkdir("x", at=fd),
        lambda: guest.stat("x", at=fd),
        lambda: guest.unlink("x", at=fd),
        lambda: guest.readdir(fd),
    ):
        with fails(Errno.NOTDIR):
            call()


def test_names_may_be_any_text(guest: Guest) -> None:
    names = ["a b", "größe", "日本語", "\n", "a\\b", "con:", "-rf", "x" * 200]
    for name in names:
        guest.file(name, name.encode())
    assert guest.names() == sorted(names)
    assert all(guest.content(name) == name.encode() for name in names)


def test_a_name_that_is_too_long(guest: Guest) -> None:
    with fails(Errno.NAMETOOLONG):
        guest.open("x" * 5000, OFlags.CREAT)


def test_two_descriptors_of_a_file_see_the_same_content(guest: Guest) -> None:
    first = guest.create("a", b"abc")
    second = guest.open("a")
    guest.pwrite(second, b"X", 0)
    assert guest.pread(first, 3, 0) == b"Xbc"
    guest.call("fd_filestat_set_size", first, 1)
    assert guest.read(second, 5) == b"X"


def test_a_file_of_some_size(guest: Guest) -> None:
    data = bytes(range(256)) * 2048
    guest.file("a", data)
    fd = guest.open_to_read("a")
    found = b""
    while piece := guest.read(fd, 1000, 70_000):
        found += piece
    assert found == data


def test_rights_restrict_what_is_opened(guest: Guest) -> None:
    guest.file("a", b"abc")
    fd = guest.open("a", rights=1 << 1)
    assert guest.read(fd, 5) == b"abc"
    with fails(Errno.NOTCAPABLE, Errno.BADF):
        guest.write(fd, b"x")
    fd = guest.open("a", rights=1 << 6)
    with fails(Errno.NOTCAPABLE, Errno.BADF):
        guest.read(fd, 5)
    assert guest.fdstat(fd).rights == 1 << 6
    assert ALL_RIGHTS & guest.fdstat(ROOT).rights == guest.fdstat(ROOT).rights
