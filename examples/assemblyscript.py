"""A module of the AssemblyScript compiler: its `abort` arrives in Python as an exception with a message and a place.

AssemblyScript:

    export function hello_world(x: i32): i32 { return x + 3; }
    export function goodbye_world(): void { throw new Error("sad sad world"); }
"""

import wasmine
from wasmine import assemblyscript

# What `asc index.ts` makes of it: strings are UTF-16, behind a header of 20 bytes that ends with their length.
MODULE = r"""
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 1036) "<\00\00\00\00\00\00\00\00\00\00\00\02\00\00\00\1a\00\00\00")
  (data (i32.const 1056) "s\00a\00d\00 \00s\00a\00d\00 \00w\00o\00r\00l\00d\00")
  (data (i32.const 1100) ",\00\00\00\00\00\00\00\00\00\00\00\02\00\00\00\10\00\00\00")
  (data (i32.const 1120) "i\00n\00d\00e\00x\00.\00t\00s\00")
  (func (export "hello_world") (param $x i32) (result i32)
    (i32.add (local.get $x) (i32.const 3)))
  (func (export "goodbye_world")
    (call $abort (i32.const 1056) (i32.const 1120) (i32.const 7) (i32.const 3))
    (unreachable)))
"""

with wasmine.Runtime() as runtime:
    guest = runtime.instantiate(MODULE, assemblyscript.imports()).exports
    print(f"hello_world(7) returned: {guest.hello_world(7)}")
    try:
        guest.goodbye_world()
    except assemblyscript.Abort as error:
        print(f"goodbye_world() ended with code {error.code}: {error}")
