"""Which template library fits the processor that runs us."""

from __future__ import annotations

from typing import Final

# What x86-64-v3 has beyond x86-64-v2, by Linux's names (the x86-64 psABI, table "Micro-Architecture Levels").
_LEVEL_3: Final = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
_PLAIN: Final = frozenset({"ssse3", "sse4_1", "popcnt"})


def flags() -> frozenset[str]:
    """The features of the first processor, by Linux's names; none where the kernel does not tell."""
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - importing pathlib takes 4 ms
            for line in lines:
                if line.startswith("flags"):
                    return frozenset(line.partition(":")[2].split())
    except OSError:
        pass
    return frozenset()


def level() -> str:
    """The name of the best library. OSError for a processor that is too old for any."""
    found = flags()
    if found >= _LEVEL_3:
        return "amd64_v3"
    if found and not found >= _PLAIN:
        raise OSError(f"the processor lacks {', '.join(sorted(_PLAIN - found))}")
    return "amd64"
