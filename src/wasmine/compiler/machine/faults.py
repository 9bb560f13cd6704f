"""Signal handlers that turn a fault in wasm code into a trap, in front of whatever handlers were there before."""

from __future__ import annotations

import faulthandler
import functools
import signal
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine import libc, linux
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS: Final = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE)


_watch: Final = libc.SignalWatch(SIGNALS)


def installed(handler: int) -> bool:
    """Whether our handler is in front for every signal. Cheap: asked at every instantiation."""
    return _watch.all_are(handler)


def install(handler: int, set_previous: Callable[[int, int], None]) -> None:
    """Put our handler in front for every signal where it is not already.

    `handler` is the address of the machine code; `set_previous(signal, address)` tells it whom to call for a fault that
    is not wasm's. OSError where signals cannot be had.
    """
    with lock:
        for number in SIGNALS:
            action = libc.signal_action(number)
            if action.handler == handler:
                continue
            set_previous(number, action.handler)  # before ours can be called
            action.handler = handler
            # On the alternate stack where the thread has one, like faulthandler's; and not blocked while it runs, for we
            # leave it by changing the place where the thread goes on.
            action.flags = linux.SA_SIGINFO | linux.SA_ONSTACK | linux.SA_NODEFER
            for i in range(len(action.mask)):
                action.mask[i] = 0
            libc.set_signal_action(number, action)


def follow_faulthandler(reinstall: Callable[[], None]) -> None:
    """Keep ours in front when `faulthandler.enable` or `faulthandler.disable` is called later.

    Its handler in front of ours would end the process at the first trap: it reports and re-raises, and nothing can be done
    from behind it. When it is disabled it takes with it whatever was installed since.
    """
    for name in ("enable", "disable"):
        original = getattr(faulthandler, name)
        if not getattr(original, "_wasmine", False):
            setattr(faulthandler, name, _followed(original, reinstall))


def _followed(original: Callable[..., Any], reinstall: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        finally:
            reinstall()

    call._wasmine = True  # type: ignore[attr-defined]
    return call
