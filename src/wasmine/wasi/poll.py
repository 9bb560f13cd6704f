"""`poll_oneoff`: waiting for the first of many things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.record import record
from wasmine.wasi.clocks import SECOND
from wasmine.wasi.errno import Errno, WasiError, from_os_error
from wasmine.wasi.layout import (
    EVENT,
    SUBSCRIPTION,
    SUBSCRIPTION_BODY,
    SUBSCRIPTION_CLOCK,
    SUBSCRIPTION_FD,
    ClockId,
    EventRwFlags,
    EventType,
    SubclockFlags,
)
from wasmine.wasi.process import now
from wasmine.wasi.rights import Rights
from wasmine.wasi.waiting import NOTHING

if TYPE_CHECKING:
    from struct import Struct

    from wasmine.wasi.descriptors import Descriptor
    from wasmine.wasi.guest_memory import GuestMemory
    from wasmine.wasi.system import WASI
    from wasmine.wasi.waiting import Ready

# Each costs the host about a microsecond. Far more than a guest can have descriptors.
MOST_SUBSCRIPTIONS = 1 << 16


@record
class Layout:
    """How subscriptions lie in memory: the size of one, and what a clock's consists of."""

    size: int = SUBSCRIPTION.size
    clock: Struct = SUBSCRIPTION_CLOCK


PREVIEW1 = Layout()


@record(frozen=False)
class Subscription:
    """One thing waited for, and then what came of it.

    `due` is the time left for a clock, in nanoseconds; `fileno` what the host can wait on for `descriptor`. `error` is set,
    or `ready`, where there is nothing to wait for. `available` and `flags` are those of the event.
    """

    userdata: int
    type: int
    due: int | None = None
    descriptor: Descriptor | None = None
    fileno: int | None = None
    ready: bool = False
    error: Errno = Errno.SUCCESS
    available: int = 0
    flags: int = 0


def poll_oneoff(
    system: WASI,
    memory: GuestMemory,
    subscriptions: int,
    events: int,
    count: int,
    result: int,
    *,
    layout: Layout = PREVIEW1,
) -> None:
    if not count or count > MOST_SUBSCRIPTIONS:
        raise WasiError(Errno.INVAL)
    memory.slice(subscriptions, count * layout.size)
    memory.slice(events, count * EVENT.size)
    memory.slice(result, 4)
    wanted = [_read(system, memory, subscriptions + number * layout.size, layout) for number in range(count)]
    happened = _wait(system, wanted)
    for number, event in enumerate(happened):
        memory.pack(
            EVENT, events + number * EVENT.size, event.userdata, event.error, event.type, event.available, event.flags
        )
    memory.write_u32(result, len(happened))


def _read(system: WASI, memory: GuestMemory, address: int, layout: Layout) -> Subscription:
    """A subscription; what is wrong with it becomes its event. INVAL if it is for no kind of event."""
    userdata, type = memory.unpack(SUBSCRIPTION, address)
    if type not in EventType._value2member_map_:
        raise WasiError(Errno.INVAL)
    found = Subscription(userdata, type)
    try:
        if type == EventType.CLOCK:
            found.due = _due(system, *memory.unpack(layout.clock, address + SUBSCRIPTION_BODY))
        else:
            _subscribe(system, found, *memory.unpack(SUBSCRIPTION_FD, address + SUBSCRIPTION_BODY))
    except WasiError as error:
        found.error = error.errno
    except OSError as error:
        found.error = from_os_error(error)
    return found


def _due(system: WASI, clock: int, timeout: int, precision: int, flags: int) -> int:
    """How long a clock subscription waits from now, in nanoseconds; 0 if its time has come."""
    if flags & ~SubclockFlags.all():
        raise WasiError(Errno.INVAL)
    if flags & SubclockFlags.ABSTIME:
        return max(timeout - now(system, clock), 0)
    if clock not in ClockId._value2member_map_:
        raise WasiError(Errno.INVAL)
    return timeout


def _subscribe(system: WASI, found: Subscription, fd: int) -> None:
    descriptor = found.descriptor = system.descriptors.get(fd)
    descriptor.require(Rights.POLL_FD_READWRITE)
    found.fileno = descriptor.read_fileno() if found.type == EventType.FD_READ else descriptor.write_fileno()
    found.ready = found.fileno is None


def _wait(system: WASI, wanted: list[Subscription]) -> list[Subscription]:
    """Those that happened first, at least one; in the order of the subscriptions."""
    at_once = any(each.ready or each.error or each.due == 0 for each in wanted)
    delays = [each.due for each in wanted if each.due is not None]
    delay = 0 if at_once else min(delays, default=None)
    readers = {each.fileno for each in wanted if each.fileno is not None and each.type == EventType.FD_READ}
    writers = {each.fileno for each in wanted if each.fileno is not None and each.type == EventType.FD_WRITE}
    found = NOTHING
    if readers or writers:
        # Where time is fake it stands still while the host is asked.
        patience = delay if system.clock.real else 0 if delay is not None else None
        found = system.waiting.wait(readers, writers, None if patience is None else patience / SECOND)
        if not (found.readable or found.writable) and delay and not system.clock.real:
            system.clock.sleep(delay, system.waiting)
    elif delay:
        system.clock.sleep(delay, system.waiting)
    else:
        system.waiting.check()
    woken = not at_once and not (found.readable or found.writable)
    happened = [each for each in wanted if _happened(each, found, delay if woken else 0)]
    for each in happened:
        if not each.error and each.due is None:
            _look(each, found)
    return happened


def _happened(each: Subscription, found: Ready, passed: int | None) -> bool:
    if each.ready or each.error:
        return True
    if each.due is not None:
        return passed is not None and each.due <= passed
    return each.fileno in (found.readable if each.type == EventType.FD_READ else found.writable)


def _look(each: Subscription, found: Ready) -> None:
    """Say how much can be read or written, as far as is known, and whether the other end is gone."""
    assert each.descriptor is not None
    if each.type == EventType.FD_WRITE:
        each.available = 1
        gone = each.fileno in found.broken
    else:
        each.available = 0 if each.fileno in found.ended else each.descriptor.available()
        gone = not each.available
    each.flags = EventRwFlags.HANGUP if gone else 0
