"""File systems for guests: directories of the host, memory, zip files, package data, overlays, and your own."""

from wasmine.wasi.filesystem.archive import PackageFileSystem, ZipFileSystem
from wasmine.wasi.filesystem.host import HostDirectory
from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open, Stat
from wasmine.wasi.filesystem.memory import MemoryFileSystem, Symlink
from wasmine.wasi.filesystem.overlay import Diff, Overlay
from wasmine.wasi.filesystem.readonly import ReadOnly

__all__ = [
    "Diff",
    "Directory",
    "Entry",
    "File",
    "FileSystem",
    "HostDirectory",
    "MemoryFileSystem",
    "Open",
    "Overlay",
    "PackageFileSystem",
    "ReadOnly",
    "Stat",
    "Symlink",
    "ZipFileSystem",
]
