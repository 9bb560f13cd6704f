"""What AssemblyScript's modules import from `env`, as host functions: a ready import set; and its strings.

    imports = wasmine.assemblyscript.imports(stderr=sys.stderr)
    instance = runtime.instantiate("module.wasm", imports)

Modules that read files or arguments import WASI too: `{**wasi.imports(), **wasmine.assemblyscript.imports()}`.
"""

from __future__ import annotations

from wasmine.assemblyscript.environment import Abort, imports
from wasmine.assemblyscript.strings import new_string, read_string

__all__ = ["Abort", "imports", "new_string", "read_string"]
