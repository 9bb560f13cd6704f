"""Give a program files that exist nowhere: `python examples/files_in_memory.py greeting.txt`."""

import sys
from pathlib import Path

import wasmine

FILES = {"greeting.txt": "greet friend!\n", "docs": {"manual.txt": "There is no manual.\n"}}

try:
    done = wasmine.run(Path(__file__).with_name("cat.wat"), sys.argv[1:], mounts={"/": FILES})
except wasmine.Trap as trap:
    sys.exit(f"the program crashed: {trap}")
sys.exit(done.returncode)
