"""Signal handlers that turn a fault in wasm code into a trap, in front of whatever handlers were there before."""

from __future__ import annotations

import faulthandler
import functools
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine import libc

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS: Final = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE)

_lock = threading.Lock()


def install(handler: int, set_previous: Callable[[int, int], None]) -> None:
    """Put our handler in front for every signal where it is not already. Cheap and idempotent: done at every
    instantiation, because others may have put theirs in front of ours since.

    `handler` is the address of the machine code; `set_previous(signal, address)` tells it whom to call for a fault that
    is not wasm's. OSError where signals cannot be had.
    """
    with _lock:
        for number in SIGNALS:
            action = libc.signal_action(number)
            if action.handler == handler:
                continue
            set_previous(number, action.handler)  # before ours can be called
            action.handler = handler
            # On the alternate stack where the thread has one, like faulthandler's; and not blocked while it runs, for we
            # leave it by changing the place where the thread goes on.
            action.flags = libc.SA_SIGINFO | libc.SA_ONSTACK | libc.SA_NODEFER
            for i in range(len(action.mask)):
                action.mask[i] = 0
            libc.set_signal_action(number, action)


def follow_faulthandler(reinstall: Callable[[], None]) -> None:
    """Keep ours in front when `faulthandler.enable` is called later.

    Its handler would end the process at the first trap: it reports and re-raises, and nothing can be done from behind it.
    """
    original = faulthandler.enable
    if getattr(original, "_wasmine", False):
        return

    @functools.wraps(original)
    def enable(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        reinstall()

    enable._wasmine = True  # type: ignore[attr-defined]
    faulthandler.enable = enable
