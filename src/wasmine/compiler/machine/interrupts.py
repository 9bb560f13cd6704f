"""`Interrupts`: machine code that runs is made to look for what Python wants of its thread.

What is wanted stands in the thread's block, and a signal (`layout.KICK`) sends wasm code to the safepoint, which runs
Python's signal handlers, ends the call, or releases the GIL. The ticker, a thread of the blob's, sends it again until the
thread has looked; so nothing depends on where a thread is when it comes.

That Python's signal handlers run while the main thread is in wasm code needs a handler in front of CPython's, which only
notes the signal. `signal.signal` takes ours away whenever it is called; while wasm code runs the ticker sees that, and
has the main thread put it back.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import libc, linux, python
from wasmine.compiler.machine.layout import KICK, START_TICKER, Data
from wasmine.runtime.deadline import Expired, watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wasmine.compiler.machine.threads import ThreadBlock

_TICKER_STACK: Final = 256 << 10
"""Bytes of native stack of the ticker."""


class Interrupts:
    """The watchdog's `Stopper` for machine code; what signal handlers and the ticker need."""

    def __init__(self, symbols: Mapping[str, int], set_data: Callable[[int, int], None]) -> None:
        self._kick = symbols["kick"]
        self._set_data = set_data
        self._python_handler = 0
        self._blocks: list[ThreadBlock] = []
        self._main: ThreadBlock | None = None
        self.largest_frame = 0
        set_data(Data.EXPIRED, python.host().reference(Expired))
        set_data(Data.TICKER_ATTRIBUTES, libc.detached_thread(_TICKER_STACK))
        watchdog.stoppers.append(self)

    def attached(self, block: ThreadBlock) -> None:
        """The calling thread has a block from now on."""
        if block not in self._blocks:
            block.follow(self._blocks[-1] if self._blocks else None)
            self._blocks.append(block)
            self._set_data(Data.BLOCKS, block.address)
        if block.watched:
            self._main = block
            self._set_data(Data.MAIN_THREAD, block.address)
            self._learn_handler()
        self._install_kick()

    def forked(self) -> None:
        """This is a new process, with one thread: its main thread now."""
        here = threading.get_ident()
        self._set_data(Data.TICKER, 0)
        for block in self._blocks:
            block.watched = block.thread == here
            block.signals.value |= START_TICKER
            if block.watched:
                block.task.value = threading.get_native_id()
            else:
                block.give_up()
        self._main = next((block for block in self._blocks if block.watched), None)
        self._set_data(Data.MAIN_THREAD, self._main.address if self._main is not None else 0)

    def frame_of(self, size: int) -> None:
        """There is a function whose frame in the value stack has this size."""
        if size > self.largest_frame:
            self.largest_frame = size
            self._set_data(Data.LARGEST_FRAME, size)

    # ------------------------------------------------------------------------------------------------ the watchdog's

    def stop(self, thread: int) -> None:
        """Make the wasm code that a thread runs raise `Expired`."""
        for block in self._blocks:
            if block.thread == thread:
                block.stop.value = 1
                self._send(block)

    def release(self, thread: int) -> None:
        """Take that back."""
        for block in self._blocks:
            if block.thread == thread:
                block.stop.value = 0

    # ------------------------------------------------------------------------------------------------ signals

    def _send(self, block: ThreadBlock) -> None:
        if block.inside.value:
            self._install_kick()
            signal.pthread_kill(block.thread, KICK)

    def _install_kick(self) -> None:
        action = libc.signal_action(KICK)
        if action.handler != self._kick:
            self._set_data(Data.PREVIOUS + 8 * KICK, action.handler)  # before ours can be called
            _install(KICK, action, self._kick, linux.SA_SIGINFO | linux.SA_ONSTACK | linux.SA_RESTART)

    def _learn_handler(self) -> None:
        """Find out the address of CPython's handler. It is the same for all signals."""
        if self._python_handler:
            return
        before = signal.getsignal(KICK)
        try:
            signal.signal(KICK, lambda *_: None)
            self._python_handler = libc.signal_action(KICK).handler
            if before is not None:
                signal.signal(KICK, before)
        except ValueError:  # this is not the main interpreter: it has no signals to handle
            return
        self._set_data(Data.PYTHON_HANDLER, self._python_handler)


def _install(number: int, action: libc.SignalAction, handler: int, flags: int) -> None:
    action.handler = handler
    action.flags = flags
    libc.set_signal_action(number, action)
