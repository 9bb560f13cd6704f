;; Tail calls: three functions that hand on to each other, through return_call and return_call_indirect.
(module
  (type $state (func (param i32 i32 i32) (result i32)))
  (table funcref (elem $add $turn $mix))
  (func $add (type $state) (param $n i32) (param $x i32) (param $y i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (local.get $x))))
    (return_call $turn
      (i32.sub (local.get $n) (i32.const 1)) (i32.add (local.get $x) (local.get $y)) (local.get $x)))
  (func $turn (type $state) (param $n i32) (param $x i32) (param $y i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (local.get $y))))
    (return_call_indirect (type $state)
      (i32.sub (local.get $n) (i32.const 1)) (i32.rotl (local.get $x) (i32.const 7)) (local.get $y)
      (i32.shl (i32.and (local.get $x) (i32.const 1)) (i32.const 1))))
  (func $mix (type $state) (param $n i32) (param $x i32) (param $y i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.xor (local.get $x) (local.get $y)))))
    (return_call $add
      (i32.sub (local.get $n) (i32.const 1)) (i32.xor (local.get $x) (i32.const 0x5bd1e995)) (local.get $y)))
  (func (export "run") (param $n i32) (result i32)
    (call $add (local.get $n) (i32.const 1) (i32.const 2))))
