"""Everything that can go wrong is a Python exception that says what, where and why."""

import wasmine

FAULTY = """
(module $faulty
  (import "env" "fail" (func $fail))
  (memory (export "memory") 1)
  (func $inner (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load") (param i32) (result i32) (call $inner (local.get 0)))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "fail") (call $fail)))
"""


def fail() -> None:
    raise KeyError("the host's own")


with wasmine.Runtime() as runtime:
    guest = runtime.instantiate(FAULTY, {"env": {"fail": fail}}).exports
    for call in (lambda: guest.load(65_536), lambda: guest.divide(1, 0), guest.fail, lambda: guest.load("0")):
        try:
            call()
        except wasmine.Trap as trap:
            print(f"Trap {trap.kind.name}, in {' < '.join(frame.function for frame in trap.frames)}")
        except (KeyError, TypeError) as error:
            print(f"{type(error).__name__}: {error}")
    for source in ("(module (func (result i32) (i64.const 1)))", "(module (func", FAULTY):
        try:
            runtime.instantiate(source)
        except wasmine.WasmineError as error:
            print(f"{type(error).__name__}: {error}")
