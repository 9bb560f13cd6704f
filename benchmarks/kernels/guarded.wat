;; try_table around every call, though nothing is thrown.
(module
  (memory 1)
  (tag $odd (param i32))
  (func $work (param $x i32) (result i32)
    (if (i32.eq (local.get $x) (i32.const -1)) (then (throw $odd (local.get $x))))
    (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
  (func $guarded (param $x i32) (result i32)
    (block $caught (result i32)
      (return (i32.add (i32.const 1) (try_table (result i32) (catch $odd $caught) (call $work (local.get $x)))))))
  (func (export "run") (param $n i32) (result i32) (local $x i32)
    (loop $again
      (local.set $x (call $guarded (i32.and (local.get $x) (i32.const 0x7fffffff))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x)))
