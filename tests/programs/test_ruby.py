"""Ruby 3.4 as a reactor: a heavy program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ruby_host import Ruby

import wasmine
from wasmine.wasi import WASI

LoadProgram = Callable[[str], wasmine.Module]

PROGRAM = """
Point = Struct.new(:x, :y) do
  def distance = Math.sqrt(x**2 + y**2)
end
puts [RUBY_VERSION, RUBY_PLATFORM, 2**100, Point.new(3, 4).distance].join(" ")
puts (1..20).lazy.select(&:even?).map { _1 ** 2 }.first(3).inspect
puts "größe".upcase, "a1b22".gsub(/\\d+/) { |digits| "<#{digits}>" }
begin
  Integer("x")
rescue ArgumentError => error
  puts error.message
end
fiber = Fiber.new { Fiber.yield 1; 2 }
puts [fiber.resume, fiber.resume].sum
$stdout.flush
"""
PRINTS = """\
3.4.1 wasm32-wasi 1267650600228229401496703205376 5.0
[4, 16, 36]
GRÖSSE
a<1>b<22>
invalid value for Integer(): "x"
3
"""


def test_programs_run(load_program: LoadProgram, runtime: wasmine.Runtime) -> None:
    module = load_program("ruby")
    out, error = bytearray(), bytearray()
    with WASI(["ruby"], stdout=out, stderr=error) as system:
        ruby = Ruby(runtime, module, system)
        assert ruby.evaluate(PROGRAM) == 0
        assert ruby.evaluate("raise 'no'") != 0
    assert out.decode() == PRINTS
    assert error.decode() == ""


def test_a_started_interpreter_is_copied(load_program: LoadProgram, runtime: wasmine.Runtime, tmp_path: Path) -> None:
    module = load_program("ruby")
    with WASI(["ruby"]) as system:
        first = Ruby(runtime, module, system)
        assert first.evaluate("$numbers = (1..10).to_a; class Array; def total = sum; end") == 0
        first.instance.snapshot().save(tmp_path / "ruby")
    for _ in range(2):
        out = bytearray()
        with WASI(["ruby"], stdout=out) as system:
            copy = Ruby(runtime, wasmine.Snapshot.load(tmp_path / "ruby", module), system)
            assert copy.evaluate("puts $numbers.total; $numbers << 1; $stdout.flush") == 0
        assert out == b"55\n"
