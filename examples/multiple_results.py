"""Three ways to return more than one value."""

import wasmine
from wasmine import i32, i64

MODULE = """
(module
  (import "host" "get_age" (func $host_get_age (result i64 i32)))
  (memory (export "memory") 1)

  ;; As in the first version of WebAssembly: one result, the other one is written where the caller wants it.
  (func (export "through_memory") (param $age_at i32) (result i32)
    (i64.store (local.get $age_at) (i64.const 37))
    (i32.const 0))

  ;; Directly.
  (func (export "directly") (result i64 i32)
    (i64.const 37) (i32.const 0))

  ;; From a function in Python that returns a tuple.
  (func (export "from_host") (result i64 i32)
    (call $host_get_age)))
"""


def get_age() -> tuple[i64, i32]:
    return 37, 0


with wasmine.Runtime() as runtime:
    guest = runtime.instantiate(MODULE, {"host": {"get_age": get_age}}).exports
    errno = guest.through_memory(8)
    print("through memory: age", int.from_bytes(guest.memory[8:16], "little"), "errno", errno)
    print("directly: age {} errno {}".format(*guest.directly()))
    print("from the host: age {} errno {}".format(*guest.from_host()))
