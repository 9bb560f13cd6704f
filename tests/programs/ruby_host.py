"""Ruby as a host drives it: a reactor whose functions follow an early draft of the component model's canonical ABI."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import wasmine
from wasmine.wasi import WASI

INIT = "ruby-init: func(args: list<string>) -> ()"
EVALUATE = "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>"
PREVIEW_1 = "wasi_snapshot_preview1"


def _refusing(name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        raise RuntimeError(f"Ruby called {name}, which is for hosts with JavaScript")

    return call


class Ruby:
    """An initialized interpreter, or what a snapshot of one was.

    Its imports beside WASI are for JavaScript; three of them are needed without it too.
    """

    def __init__(self, runtime: wasmine.Runtime, source: wasmine.Module | wasmine.Snapshot, system: WASI) -> None:
        started = isinstance(source, wasmine.Snapshot)
        module: wasmine.Module = source.module if isinstance(source, wasmine.Snapshot) else source
        imports: dict[str, dict[str, Any]] = {}
        for entry in module.imports:
            if entry.module != PREVIEW_1:
                imports.setdefault(entry.module, {})[entry.name] = _refusing(entry.name)
        self._values: list[int] = []
        imports["canonical_abi"]["resource_new_rb-abi-value"] = self._new_handle
        imports["canonical_abi"]["resource_get_rb-abi-value"] = self._values.__getitem__
        imports["rb-js-abi-host"]["rb_wasm_throw_prohibit_rewind_exception"] = lambda message, length: None
        self.instance = runtime.instantiate(source, {**system.imports(), **imports})
        self._exports = self.instance.exports
        if started:
            return
        self._exports._initialize()
        words = [self._string(word) for word in ("ruby", "--disable-gems", "-e", "")]
        self._exports[INIT](self._put(b"".join(struct.pack("<II", *word) for word in words), 4), len(words))

    def _new_handle(self, value: int) -> int:
        self._values.append(value)
        return len(self._values) - 1

    def _put(self, data: bytes, alignment: int) -> int:
        address: int = self._exports.cabi_realloc(0, 0, alignment, len(data))
        self._exports.memory.write(address, data)
        return address

    def _string(self, text: str) -> tuple[int, int]:
        """Address and length; the implementation wants a zero at the end besides."""
        data = text.encode() + b"\0"
        return self._put(data, 1), len(data)

    def evaluate(self, source: str) -> int:
        """Run a program; 0 if nothing was raised."""
        result = self._exports[EVALUATE](*self._string(source))
        state: int = struct.unpack("<ii", self._exports.memory.read(result, 8))[1]
        return state
