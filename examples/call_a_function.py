"""Call a function of a module: `python examples/call_a_function.py 7 9`."""

import sys

import wasmine

ADD = """
(module
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
"""

a, b = map(int, sys.argv[1:3])
with wasmine.Runtime() as runtime:
    add = runtime.instantiate(ADD).exports.add
    print(f"{a} + {b} = {add(a, b)}")
