"""The script files of a folder, with what the suite's `index.json` says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Script:
    """A script file; `void` are the lines of commands that later versions of WebAssembly made void, with the reason."""

    path: Path
    name: str
    void: Mapping[int, str] = field(default_factory=dict)


def find_scripts(paths: Iterable[str | Path]) -> Iterator[Script]:
    """Every given file, and the `.wast` files of every given folder, in order of name.

    A folder that holds none gives itself, so that nothing given is passed over in silence.
    """
    for given in paths:
        path = Path(given)
        files = sorted(path.rglob("*.wast")) if path.is_dir() else []
        for file in files or [path]:
            yield Script(file, str(file), void_lines(file))


def void_lines(path: Path) -> Mapping[int, str]:
    """The void lines of a script file, from the nearest `index.json` above it that lists the file."""
    place = path.resolve()
    for folder in place.parents:
        entry = _index(folder).get(place.relative_to(folder).as_posix())
        if entry is not None:
            return dict.fromkeys(entry.get("void_in_3.0_lines", ()), "void since WebAssembly 3.0")
    return {}


@lru_cache(maxsize=256)
def _index(folder: Path) -> dict[str, Any]:
    """The entries of a folder's index by path; empty where there is no index, or one of something else."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
        files = index["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}
