"""setjmp and longjmp as Emscripten compiles them: the guest leaves nested calls through the host.

int run(int depth) { return setjmp(buffer) ? -1 : descend(depth); }  // descend calls longjmp beyond a depth of 10
"""

import wasmine
from wasmine import emscripten

MODULE = """
(module
  (import "env" "invoke_ii" (func $invoke_ii (param i32 i32) (result i32)))
  (import "env" "_emscripten_throw_longjmp" (func $throw_longjmp))
  (table (export "__indirect_function_table") 2 funcref)
  (elem (i32.const 1) $descend)
  (global $stack (mut i32) (i32.const 65536))
  (global $threw (mut i32) (i32.const 0))
  (func (export "emscripten_stack_get_current") (result i32) (global.get $stack))
  (func (export "_emscripten_stack_restore") (param i32) (global.set $stack (local.get 0)))
  (func (export "setThrew") (param $threw_now i32) (param $value i32) (global.set $threw (local.get $threw_now)))

  (func $descend (param $depth i32) (result i32)
    (if (i32.gt_u (local.get $depth) (i32.const 10)) (then (call $throw_longjmp)))
    (if (i32.eqz (local.get $depth)) (then (return (i32.const 0))))
    (i32.add (i32.const 1) (call $descend (i32.sub (local.get $depth) (i32.const 1)))))

  (func (export "run") (param $depth i32) (result i32)
    (local $result i32)
    (global.set $threw (i32.const 0))
    (local.set $result (call $invoke_ii (i32.const 1) (local.get $depth)))
    (select (i32.const -1) (local.get $result) (global.get $threw))))
"""

module = wasmine.Module(MODULE)
with wasmine.Runtime() as runtime:
    guest = runtime.instantiate(module, emscripten.imports(module)).exports
    for depth in (3, 10, 11):
        print(f"run({depth}) = {guest.run(depth)}")
