;; A WASI program that writes the file that its first argument names to standard output, like `cat`.
;;
;;   wasmine run --dir examples:/ examples/cat.wat hello.wat
;;
;; Its exit code is the error number if that fails. Only the first directory that it was given is looked in.
(module $cat
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open
      (param $directory i32) (param $lookup i32) (param $path i32) (param $length i32) (param $oflags i32)
      (param $rights i64) (param $inheriting i64) (param $fdflags i32) (param $fd i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; 0: results, 8: a buffer (address, length), 16: addresses of the arguments, 1024: their text, 8192: what was read.
  (memory (export "memory") 2)

  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

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
    (local $fd i32) (local $name i32)
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    ;; Error 28 is INVAL: two arguments, the program's name and the file's, of no more than 7,000 bytes.
    (if (i32.or (i32.ne (i32.load (i32.const 0)) (i32.const 2)) (i32.gt_u (i32.load (i32.const 4)) (i32.const 7000)))
      (then (call $proc_exit (i32.const 28))))
    (call $check (call $args_get (i32.const 16) (i32.const 1024)))
    (local.set $name (i32.load (i32.const 20)))
    ;; Descriptor 3 is the first directory; 1 follows symbolic links; 2 is the right to read.
    (call $check
      (call $path_open
        (i32.const 3) (i32.const 1) (local.get $name) (call $length (local.get $name)) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
    (local.set $fd (i32.load (i32.const 0)))
    (i32.store (i32.const 8) (i32.const 8192))
    (loop $next
      (i32.store (i32.const 12) (i32.const 65536))
      (call $check (call $fd_read (local.get $fd) (i32.const 8) (i32.const 1) (i32.const 12)))
      (if (i32.load (i32.const 12)) (then
        (call $check (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
        (br $next))))))
