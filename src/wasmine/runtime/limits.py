"""`Limits`: how much of the host a guest may take."""

from __future__ import annotations

import math
import sys

from wasmine.record import record


@record
class Limits:
    """What a guest may take at most; None is no limit of the host's.

    `timeout`: seconds for each call from Python, the start function's included; then it raises `Timeout`. A call inside
    another one has no more time than is left of that. `fuel`: units that an instance may compute until it raises
    `OutOfFuel` (docs/limits.md); `Instance.fuel` says what is left. `memory`: bytes, and `table`: elements, for each memory
    and table that an instance defines; growing beyond fails as WebAssembly lets it fail, and a module that needs more from
    the start is a `LinkError`. `instances`: how many open instances a runtime has.

    A guest that was stopped by a limit keeps the state that it had; its instance can be called again.
    """

    timeout: float | None = None
    fuel: int | None = None
    memory: int | None = None
    table: int | None = None
    instances: int | None = None

    def __post_init__(self) -> None:
        for name in self.__match_args__:
            value = getattr(self, name)
            if value is None:
                continue
            wanted = (int, float) if name == "timeout" else int
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise TypeError(f"the limit {name} must be a number, found {value!r}")
            if not value >= 0:
                raise ValueError(f"the limit {name} must not be negative, found {value!r}")
        if self.timeout is not None and self.timeout > sys.float_info.max:
            object.__setattr__(self, "timeout", math.inf)  # it may be an int, which no float is equal to

    @classmethod
    def merged(cls, given: Limits | None, default: Limits) -> Limits:
        """What `given` leaves open, as `default` has it."""
        if given is None:
            return default
        values = {}
        for name in cls.__match_args__:
            value = getattr(given, name)
            values[name] = getattr(default, name) if value is None else value
        return cls(**values)
