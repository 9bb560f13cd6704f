"""Signal handlers that turn a fault in wasm code into a trap, in front of whatever handlers were there before."""

from __future__ import annotations

import faulthandler
import functools
import signal
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine import libc, linux
from wasmine.compiler.machine.layout import KICK
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


def follow_others(reinstall: Callable[[], None], calls_guests: Callable[[], bool]) -> None:
    """Keep ours in front, and what machine code needs unblocked, when others are called that change that:

    - `faulthandler.enable`: its handler in front of ours would end the process at the first trap, for it reports and
      re-raises, and nothing can be done from behind it. `disable`: that takes with it whatever was installed since.
    - `signal.signal` with one of these signals: CPython's handler returns to the instruction at fault, for ever.
    - `signal.pthread_sigmask`: a fault whose signal is blocked ends the process. Threads that never called a guest
      (`calls_guests` of the calling one) may block what they like: they may want to wait for it.
    """

    def set_handler(signalnum: int, *_: object, **__: object) -> None:
        if signalnum in SIGNALS:
            reinstall()

    for module, name, afterwards in (
        (faulthandler, "enable", lambda *_, **__: reinstall()),
        (faulthandler, "disable", lambda *_, **__: reinstall()),
        (signal, "signal", set_handler),
        (signal, "pthread_sigmask", lambda *_, **__: unblock() if calls_guests() else None),
    ):
        original = getattr(module, name)
        if not hasattr(original, "_wasmine"):
            setattr(module, name, _followed(original, afterwards))


def _followed(original: Callable[..., Any], afterwards: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        afterwards(*args, **kwargs)
        return found

    call._wasmine = original  # type: ignore[attr-defined]
    return call


def unblock() -> None:
    """The calling thread gets the signals of faults, and the one that has machine code look at what is wanted of it."""
    change: Callable[..., object] = getattr(signal.pthread_sigmask, "_wasmine", signal.pthread_sigmask)
    change(signal.SIG_UNBLOCK, (*SIGNALS, KICK))
