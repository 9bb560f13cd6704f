"""Running a case with several subjects and comparing what comes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from session import GAVE_UP, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from session import Case, Loaded, Session, Subject


@dataclass(frozen=True)
class Difference:
    """A case in which subjects differ: at what (a call, or instantiation), and how."""

    case: Case
    at: str
    found: str

    def __str__(self) -> str:
        return f"{self.case.name}: {self.at}\n{self.found}"


@dataclass
class Report:
    """What came of cases: numbers of modules, calls and endings, and the differences."""

    tally: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, other: Report) -> None:
        self.tally.update(other.tally)
        self.endings.update(other.endings)
        self.dropped.update(other.dropped)
        self.differences.extend(other.differences)


def compare(case: Case, subjects: Sequence[Subject]) -> Report:
    """Run a case with every subject. The first one is the measure."""
    report = Report()
    report.tally["modules"] += len(case.modules)
    loaded: list[Loaded] = []
    for subject in subjects:
        try:
            loaded.append(subject.load(case.modules))
        except Exception as error:
            found = f"  {subject.name}: {type(error).__name__}: {error}"
            report.differences.append(Difference(case, "the modules are refused", found))
    if len(loaded) == len(subjects):
        for session in case.sessions:
            difference = _compare_session(case, session, subjects, loaded, report)
            if difference is not None:
                report.differences.append(difference)
    report.tally["differences"] += len(report.differences)
    return report


def _compare_session(
    case: Case, session: Session, subjects: Sequence[Subject], loaded: Sequence[Loaded], report: Report
) -> Difference | None:
    runs = [modules.run(session) for modules in loaded]
    for position, outcomes in enumerate(zip_longest(*runs)):
        # Position 0 is the instantiation.
        present = [outcome for outcome in outcomes if outcome is not None]
        given_up = next((outcome.ending for outcome in present if outcome.ending in GAVE_UP), None)
        if given_up is not None:
            report.dropped[given_up] += 1
            return None
        if position == 0:
            if present[0].ending != "returned":
                report.endings[f"{present[0].ending} at instantiation"] += 1
        else:
            report.tally["calls"] += 1
            report.endings[present[0].ending] += 1
        if any(outcome != outcomes[0] for outcome in outcomes):
            names = [subject.name for subject in subjects]
            at = "instantiation" if position == 0 else str(session[position - 1])
            if position > 1:
                at += f", after {', after '.join(map(str, reversed(session[: position - 1])))}"
            return Difference(case, at, _describe(names, outcomes))
    return None


def _describe(names: Sequence[str], outcomes: Sequence[Outcome | None]) -> str:
    """What each subject found; of the state only what differs."""
    states = [set(outcome.state) if outcome else set() for outcome in outcomes]
    agreed = set.intersection(*states)
    lines = []
    for name, outcome in zip(names, outcomes, strict=True):
        lines.append(f"  {name}: {outcome if outcome else 'nothing'}")
        lines += [f"    {line}" for line in (outcome.state if outcome else ()) if line not in agreed]
    return "\n".join(lines)
