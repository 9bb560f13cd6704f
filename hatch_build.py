"""Makes the machine code of the compiler engine when a wheel or an editable install is built; wheels also get typed walks.

The libraries of machine code are data, the same on every host, so the wheel stays universal. They are written next to the
code that reads them, where an editable install finds them too; git ignores them there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TemplateBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the libraries and adds them to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before the files of a wheel are collected."""
        source = Path(self.root) / "src"
        sys.path.insert(0, str(source))
        try:
            from wasmine.compiler.machine import assemble
            from wasmine.compiler.templates import build
            from wasmine.validation import generator, walks

            compiler = source / "wasmine" / "compiler"
            written = [*build.build(compiler / "templates"), *assemble.build(compiler / "machine")]
            if version != "editable":  # walks must not be older than their generator
                self._prepared = tempfile.TemporaryDirectory()
                for path in generator.prepare(Path(self._prepared.name)):
                    build_data["force_include"][str(path)] = f"{walks.PREPARED.replace('.', '/')}/{path.name}"
        finally:
            sys.path.remove(str(source))
        build_data["artifacts"] += [path.relative_to(self.root).as_posix() for path in written]
