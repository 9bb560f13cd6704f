"""Guests under asyncio: they run off the event loop, call asynchronous functions of the host, and can be cancelled."""

import asyncio

import wasmine

SUM = wasmine.Module("""
(module
  (import "host" "fetch" (func $fetch (param i32) (result i32)))
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $sum (i32.add (local.get $sum) (call $fetch (local.get $n))))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next))))
    (local.get $sum))
  (func (export "spin") (loop $again (br $again))))
""")


async def fetch(number: wasmine.i32) -> wasmine.i32:
    await asyncio.sleep(0.01)
    return number * number


async def main() -> None:
    with wasmine.Runtime() as runtime:
        guests = [runtime.instantiate(SUM, {"host": {"fetch": fetch}}).exports for _ in range(5)]
        print("together:", await asyncio.gather(*(guest.sum.async_(3) for guest in guests)))
        try:
            async with asyncio.timeout(0.1):
                await guests[0].spin.async_()
        except TimeoutError:
            print("stopped, and still there:", await guests[0].sum.async_(1))


asyncio.run(main())
