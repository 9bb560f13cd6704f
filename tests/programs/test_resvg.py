"""resvg, a renderer of SVG: real pictures, their pixels decoded again."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import wasmine
from wasmine.wasi.program import CompletedProgram, run

LoadProgram = Callable[[str], wasmine.Module]
Resvg = Callable[..., CompletedProgram]

RECTANGLES = """
<svg xmlns="http://www.w3.org/2000/svg" width="8" height="6">
  <rect width="8" height="6" fill="#00f"/>
  <rect x="2" y="1" width="4" height="3" fill="#f00"/>
  <rect x="7" y="5" width="1" height="1" fill="#0f0"/>
</svg>"""
CIRCLE = """
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="20" height="20">
  <linearGradient id="fade"><stop stop-color="black"/><stop offset="1" stop-color="white"/></linearGradient>
  <circle cx="50" cy="50" r="40" fill="url(#fade)"/>
</svg>"""
# Of the pixels at zoom 2, as wasmtime 50 has them too: a lot of float arithmetic, so that one wrong bit would show.
CIRCLE_CRC = 61919960

RED, GREEN, BLUE, NOTHING = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)

Pixel = tuple[int, int, int, int]


class Picture(NamedTuple):
    """Width, height and the rows of pixels: red, green, blue, alpha."""

    width: int
    height: int
    rows: list[list[Pixel]]


def decode_png(data: bytes) -> Picture:
    """The pixels of a PNG of 8 bits per channel with alpha (ISO/IEC 15948, section 9: filters)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, compressed, header = 8, b"", b""
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length)[0] == zlib.crc32(kind + body)
        header = body if kind == b"IHDR" else header
        compressed += body if kind == b"IDAT" else b""
        position += 12 + length
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    assert (depth, color, interlaced) == (8, 6, 0)
    raw = zlib.decompress(compressed)
    stride = 4 * width
    assert len(raw) == height * (stride + 1)
    rows = []
    above = bytes(stride)
    for start in range(0, len(raw), stride + 1):
        above = _unfiltered(raw[start], raw[start + 1 : start + 1 + stride], above)
        rows.append([(above[i], above[i + 1], above[i + 2], above[i + 3]) for i in range(0, stride, 4)])
    return Picture(width, height, rows)


def _unfiltered(filter: int, line: bytes, above: bytes) -> bytes:
    done = bytearray()
    for i, byte in enumerate(line):
        left, up, corner = (done[i - 4] if i >= 4 else 0), above[i], (above[i - 4] if i >= 4 else 0)
        guess = left + up - corner
        paeth = min((left, up, corner), key=lambda value: abs(guess - value))
        done.append(byte + (0, left, up, (left + up) // 2, paeth)[filter] & 0xFF)
    return bytes(done)


@pytest.fixture
def resvg(load_program: LoadProgram, engine: str) -> Resvg:
    """`resvg("in.svg", "out.png", mounts=...)`."""
    module = load_program("resvg")

    def call(*words: str, **options: Any) -> CompletedProgram:
        return run(module, words, capture_output=True, text=True, engine=engine, **options)

    return call


def test_rectangles_are_where_they_should_be(resvg: Resvg, tmp_path: Path) -> None:
    (tmp_path / "in.svg").write_text(RECTANGLES)
    done = resvg("in.svg", "out.png", mounts={".": tmp_path})
    assert (done.returncode, done.stderr) == (0, "")
    picture = decode_png((tmp_path / "out.png").read_bytes())
    assert (picture.width, picture.height) == (8, 6)
    expected = [[RED if 2 <= x < 6 and 1 <= y < 4 else BLUE for x in range(8)] for y in range(6)]
    expected[5][7] = GREEN
    assert picture.rows == expected


def test_a_circle_is_round_smooth_and_shaded(resvg: Resvg, tmp_path: Path) -> None:
    (tmp_path / "in.svg").write_text(CIRCLE)
    assert resvg("--zoom", "2", "in.svg", "out.png", mounts={".": tmp_path}).returncode == 0
    picture = decode_png((tmp_path / "out.png").read_bytes())
    assert (picture.width, picture.height) == (40, 40)
    alpha = [[pixel[3] for pixel in row] for row in picture.rows]
    area = sum(map(sum, alpha)) / 255
    assert area == pytest.approx(3.14159265 * 16**2, rel=0.01)
    shades = [pixel[0] for pixel in picture.rows[20][5:35]]
    assert shades == sorted(shades)
    assert shades[0] < 20 < 235 < shades[-1]
    assert picture.rows[0][0] == NOTHING
    assert zlib.crc32(bytes(channel for row in picture.rows for pixel in row for channel in pixel)) == CIRCLE_CRC


def test_a_broken_picture_is_an_error(resvg: Resvg, tmp_path: Path) -> None:
    (tmp_path / "in.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><g></svg>")
    done = resvg("in.svg", "out.png", mounts={".": tmp_path})
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "expected 'g' tag, not 'svg'" in done.stderr
    assert not (tmp_path / "out.png").exists()
