"""Random bytes for guests: the host's, or the same in every run."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import TypeAlias

# Gives that many bytes. Fewer are an error (IO) for the guest.
RandomSource: TypeAlias = Callable[[int], bytes]


def system_random(count: int) -> bytes:
    """Bytes that nobody can foresee, from the operating system."""
    return os.urandom(count)


def seeded_random(seed: int) -> RandomSource:
    """A source that gives the same bytes for the same seed. Not for secrets."""
    return random.Random(seed).randbytes
