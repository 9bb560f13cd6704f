;; A WASI program in readable text: it greets whoever its arguments name, or the world.
;;
;;   wasmine run examples/hello.wat
;;   wasmine run examples/hello.wat Ada Grace
(module $hello
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param $count i32) (param $size i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param $pointers i32) (param $text i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $buffers i32) (param $count i32) (param $written i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param $code i32)))

  ;; 0: the number of arguments, 4: the bytes they take, 8: a buffer for fd_write (address, length), 16: bytes written.
  ;; From 1024: the addresses of the arguments, and behind them their text.
  (memory (export "memory") 1)
  (data (i32.const 32) "Hello, ")
  (data (i32.const 40) "!\n")
  (data (i32.const 48) "world")

  ;; Ends the program with the error number as its exit code if there is an error.
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

  (func $print (param $address i32) (param $length i32)
    (i32.store (i32.const 8) (local.get $address))
    (i32.store (i32.const 12) (local.get $length))
    (call $check (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))

  (func $greet (param $name i32) (param $length i32)
    (call $print (i32.const 32) (i32.const 7))
    (call $print (local.get $name) (local.get $length))
    (call $print (i32.const 40) (i32.const 2)))

  ;; The length of the text at $address, which ends with a zero byte.
  (func $length (param $address i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $address))
    (block $found
      (loop $next
        (br_if $found (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $address)))

  (func (export "_start")
    (local $count i32) (local $number i32) (local $name i32)
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (local.set $count (i32.load (i32.const 0)))
    ;; What does not fit into this one page of memory is refused.
    (if (i32.gt_u (i32.add (i32.mul (local.get $count) (i32.const 4)) (i32.load (i32.const 4))) (i32.const 60000))
      (then (call $proc_exit (i32.const 1))))
    (call $check
      (call $args_get (i32.const 1024) (i32.add (i32.const 1024) (i32.mul (local.get $count) (i32.const 4)))))
    ;; The first argument is the program's name.
    (if (i32.le_u (local.get $count) (i32.const 1))
      (then (call $greet (i32.const 48) (i32.const 5)) (return)))
    (local.set $number (i32.const 1))
    (loop $next
      (local.set $name (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $number) (i32.const 4)))))
      (call $greet (local.get $name) (call $length (local.get $name)))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $number) (local.get $count))))))
