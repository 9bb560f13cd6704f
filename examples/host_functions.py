"""Functions in Python that a module imports: `python examples/host_functions.py 2000`.

CURRENT_YEAR in the environment says which year it is; otherwise the clock does.
"""

import os
import sys
import time

import wasmine
from wasmine import Caller, i32

AGE = """
(module
  (import "env" "current_year" (func $current_year (result i32)))
  (import "env" "log_i32" (func $log_i32 (param i32)))
  (memory (export "memory") 1)
  (func $get_age (export "get_age") (param $born i32) (result i32)
    (i32.sub (call $current_year) (local.get $born)))
  (func (export "log_age") (param $born i32)
    (call $log_i32 (call $get_age (local.get $born)))))
"""


def current_year() -> i32:
    return int(os.environ.get("CURRENT_YEAR") or time.gmtime().tm_year)


def log_i32(caller: Caller, value: i32) -> None:
    print(f"log_i32 from an instance with {caller.memory.size} page of memory >> {value}")


born = int(sys.argv[1])
with wasmine.Runtime() as runtime:
    guest = runtime.instantiate(AGE, {"env": {"current_year": current_year, "log_i32": log_i32}})
    print(f"get_age >> {guest.exports.get_age(born)}")
    guest.exports.log_age(born)
