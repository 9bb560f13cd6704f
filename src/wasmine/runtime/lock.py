"""`lock`: guards what all threads of the process share in the engines: compiling, code memory, tables of code, references.

It is one lock, because what it guards is short or, like compiling, has to be done by one thread at a time anyway. It is
held across `fork`, so that the child finds everything whole, and can take it. And it is reentrant: a signal handler or a
finalizer may run on a thread that holds it, and may use wasm itself; so what it guards is kept whole between any two steps.
"""

from __future__ import annotations

import os
import threading
from typing import Final

lock: Final = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
