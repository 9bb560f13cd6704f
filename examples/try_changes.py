"""Let a program change a directory, and look at what it did before anything is really changed.

The program here is a module that makes a directory and moves a file into it.
"""

import tempfile
from pathlib import Path

import wasmine
from wasmine.wasi import HostDirectory, Overlay

TIDY_UP = """
(module
  (import "wasi_snapshot_preview1" "path_create_directory" (func $make_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "notes.txtattic/notes.txt")
  (func (export "_start")
    (drop (call $make_directory (i32.const 3) (i32.const 9) (i32.const 5)))
    (drop (call $rename (i32.const 3) (i32.const 0) (i32.const 9) (i32.const 3) (i32.const 9) (i32.const 15)))))
"""

with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "notes.txt").write_text("remember the milk")
    overlay = Overlay(HostDirectory(folder))
    wasmine.run(TIDY_UP, mounts={"/": overlay})
    changes = overlay.diff()
    print("added:", changes.added)
    print("removed:", changes.removed)
    print("on the disk:", *(path.name for path in Path(folder).iterdir()))
