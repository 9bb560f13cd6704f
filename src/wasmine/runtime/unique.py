"""`Unique`: what is part of a running module is that one thing, and no copy of it."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex


class Unique:
    """Cannot be copied or pickled: two objects would believe that they are the same memory, say."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            f"cannot copy or pickle an object of type {type(self).__name__!r}: it is part of a running module; what copies "
            "the state of an instance is `Instance.clone`, and what saves it `Snapshot.save`"
        )
