"""Makes CPython run machine code as PyPy does, by C functions that call Python (`compiler.machine.foreign`), to test that
without a PyPy: `pytest -p foreign`, with this folder on the path.
"""

from __future__ import annotations

import functools

from wasmine.compiler.machine import python
from wasmine.compiler.machine.foreign import Foreign

python.host = functools.cache(Foreign)
