"""Raising an exception in another thread by `sys.monitoring`, as is done where threads run at the same time."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from wasmine.runtime.monitoring import Monitoring

if TYPE_CHECKING:
    from types import FrameType

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is Python 3.12's")


class Ended(BaseException):
    """What is raised."""


def spin(started: threading.Event) -> None:
    started.set()
    while True:
        pass


def call(started: threading.Event) -> None:
    started.set()
    for _ in iter(int, 1):
        time.monotonic()


def tools() -> list[Any]:
    return [sys.monitoring.get_tool(number) for number in range(6)]  # type: ignore[attr-defined, unused-ignore]


class Victim(threading.Thread):
    """Runs a function until it raises `Ended`."""

    def __init__(self, function: Any) -> None:
        super().__init__(daemon=True)
        self.function = function
        self.started_running = threading.Event()
        self.ended = False
        self.start()
        self.started_running.wait()

    def run(self) -> None:
        try:
            self.function(self.started_running)
        except Ended:
            self.ended = True


def in_victims(frame: FrameType) -> bool:
    return frame.f_code in (spin.__code__, call.__code__)


@pytest.mark.parametrize("function", [spin, call])
def test_a_loop_ends(function: Any) -> None:
    monitoring = Monitoring(Ended, in_victims)
    victim = Victim(function)
    assert victim.ident is not None
    monitoring.want(victim.ident)
    victim.join(30)
    assert victim.ended
    monitoring.take_back(victim.ident)


def test_other_threads_go_on() -> None:
    monitoring = Monitoring(Ended, in_victims)
    victims = [Victim(spin) for _ in range(3)]
    assert victims[1].ident is not None
    monitoring.want(victims[1].ident)
    victims[1].join(30)
    assert [victim.ended for victim in victims] == [False, True, False]
    for victim in victims:
        assert victim.ident is not None
        monitoring.want(victim.ident)
        victim.join(30)
        monitoring.take_back(victim.ident)


def test_nothing_is_raised_where_it_may_not_be() -> None:
    asked = threading.Event()
    allowed = threading.Event()

    def interruptible(frame: FrameType) -> bool:
        asked.set()
        return allowed.is_set() and in_victims(frame)

    monitoring = Monitoring(Ended, interruptible)
    victim = Victim(spin)
    assert victim.ident is not None
    monitoring.want(victim.ident)
    assert asked.wait(30)
    assert victim.is_alive()
    allowed.set()
    victim.join(30)
    assert victim.ended
    monitoring.take_back(victim.ident)


def test_the_number_of_a_tool_is_given_back() -> None:
    before = tools()
    monitoring = Monitoring(Ended, lambda frame: False)
    monitoring.want(threading.get_ident())
    assert "wasmine" in tools()
    monitoring.take_back(threading.get_ident())
    assert tools() == before


def test_a_tool_of_somebody_else_goes_on() -> None:
    events = sys.monitoring.events  # type: ignore[attr-defined, unused-ignore]
    seen: list[str] = []
    sys.monitoring.use_tool_id(4, "test")  # type: ignore[attr-defined, unused-ignore]
    try:
        sys.monitoring.register_callback(  # type: ignore[attr-defined, unused-ignore]
            4, events.PY_START, lambda code, offset: seen.append(code.co_name)
        )
        sys.monitoring.set_events(4, events.PY_START)  # type: ignore[attr-defined, unused-ignore]
        monitoring = Monitoring(Ended, in_victims)
        victim = Victim(spin)
        assert victim.ident is not None
        monitoring.want(victim.ident)
        victim.join(30)
        monitoring.take_back(victim.ident)
        assert victim.ended
        in_victims(sys._getframe())
        assert "in_victims" in seen
    finally:
        sys.monitoring.set_events(4, 0)  # type: ignore[attr-defined, unused-ignore]
        sys.monitoring.free_tool_id(4)  # type: ignore[attr-defined, unused-ignore]


def turn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_what_is_taken_back_is_not_raised() -> None:
    monitoring = Monitoring(Ended, lambda frame: frame.f_code is turn.__code__)
    thread = threading.get_ident()
    monitoring.want(thread)
    with pytest.raises(Ended):
        turn(30)
    monitoring.want(thread)
    monitoring.take_back(thread)
    turn(0.1)


def test_what_handles_it_gets_it_again_but_not_at_once() -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    monitoring = Monitoring(Ended, lambda frame: frame.f_code is step.__code__)

    def ended() -> None:
        try:
            raise Ended
        finally:
            monitoring.want(threading.get_ident())
            while True:
                step()

    with pytest.raises(Ended):
        ended()
    monitoring.take_back(threading.get_ident())
    assert steps > 0
