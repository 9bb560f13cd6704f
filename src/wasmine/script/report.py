"""What came out of running a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Remark:
    """Why the command on `line` failed or was skipped."""

    line: int
    text: str


@dataclass(slots=True)
class Report:
    """How many commands of a script passed, and which failed or were skipped and why."""

    name: str
    passed: int = 0
    failures: list[Remark] = field(default_factory=list)
    skips: list[Remark] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """`NAME: N passed, M failed, K skipped`."""
        return f"{self.name}: {self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"

    def lines(self) -> list[str]:
        """The summary, then a line for each failure and each skipped command."""
        failures = sorted(self.failures, key=lambda failure: failure.line)
        return [
            self.summary,
            *(f"  {self.name}:{failure.line}: {failure.text}" for failure in failures),
            *(f"  {self.name}:{skip.line}: skipped: {skip.text}" for skip in self.skips),
        ]

    def add(self, other: Report) -> None:
        """Count the commands of `other` too."""
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips


def total(reports: Iterable[Report]) -> Report:
    """All reports in one, by the name `total`."""
    whole = Report("total")
    for report in reports:
        whole.add(report)
    return whole
