"""Pass text to a module and get text back: `python examples/strings.py Ada`.

The guest decides where text lies: it exports `allocate`. Results come as address and length in one number of 64 bits, as
compilers that only know one result do it.
"""

import sys

import wasmine
from wasmine import Caller, i32

GREET = """
(module
  (import "env" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "wasm >> Hello, ")
  (global $free (mut i32) (i32.const 1024))

  (func $allocate (export "allocate") (param $size i32) (result i32)
    (local $start i32)
    (local.set $start (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get $size)))
    (local.get $start))

  ;; "Hello, " and the name, in new memory.
  (func $greeting (export "greeting") (param $name i32) (param $length i32) (result i64)
    (local $text i32)
    (local.set $text (call $allocate (i32.add (local.get $length) (i32.const 15))))
    (memory.copy (local.get $text) (i32.const 8) (i32.const 15))
    (memory.copy (i32.add (local.get $text) (i32.const 15)) (local.get $name) (local.get $length))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $text)) (i64.const 32))
      (i64.extend_i32_u (i32.add (local.get $length) (i32.const 15)))))

  (func (export "greet") (param $name i32) (param $length i32)
    (local $text i64)
    (local.set $text (call $greeting (local.get $name) (local.get $length)))
    (call $log
      (i32.wrap_i64 (i64.shr_u (local.get $text) (i64.const 32)))
      (i32.wrap_i64 (local.get $text)))))
"""


def log(caller: Caller, address: i32, length: i32) -> None:
    print(caller.memory.read_string(address, length))


name = sys.argv[1].encode()
with wasmine.Runtime() as runtime:
    guest = runtime.instantiate(GREET, {"env": {"log": log}}).exports
    address = guest.allocate(len(name))
    guest.memory.write(address, name)
    guest.greet(address, len(name))
    packed = guest.greeting(address, len(name))
    print("python >>", guest.memory.read_string(packed >> 32, packed & 0xFFFF_FFFF))
