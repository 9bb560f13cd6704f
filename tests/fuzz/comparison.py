"""Running a case with several subjects and comparing what comes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from session import GAVE_UP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from session import Case, Loaded, Outcome, Session, Subject


@dataclass(frozen=True)
class Difference:
    """A case in which subjects differ: at what (a call, or instantiation), and how."""

    case: Case
    at: str
    found: str

    def __str__(self) -> str:
        return f"{self.case.name}: {self.at}\n{self.found}".rstrip()


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
    runs = {subject.name: iter(modules.run(session)) for subject, modules in zip(subjects, loaded, strict=True)}
    # Before the calls comes the instantiation.
    for position, call in enumerate((None, *session)):
        outcomes = {name: next(run, None) for name, run in runs.items()}
        for name, outcome in outcomes.items():
            if outcome and outcome.ending in GAVE_UP:
                report.dropped[f"{outcome.ending} in {name}"] += 1
                del runs[name]
        outcomes = {name: outcomes[name] for name in runs}
        if len(outcomes) < 2:
            return None
        measure, *others = outcomes.values()
        if any(other != measure for other in others):
            at = str(call or "instantiation")
            if position > 1:
                at += f", after {', after '.join(map(str, reversed(session[: position - 1])))}"
            return Difference(case, at, _describe(outcomes))
        if measure is None:
            return None
        if call is not None:
            report.tally["calls"] += 1
            report.endings[measure.ending] += 1
        elif measure.ending != "returned":
            report.endings[f"{measure.ending} at instantiation"] += 1
    return None


def _describe(outcomes: Mapping[str, Outcome | None]) -> str:
    """What each subject found; of the state only what differs."""
    states = [set(outcome.state) if outcome else set() for outcome in outcomes.values()]
    agreed = set.intersection(*states)
    lines = []
    for name, outcome in outcomes.items():
        lines.append(f"  {name}: {outcome if outcome else 'nothing'}")
        lines += [f"    {line}" for line in (outcome.state if outcome else ()) if line not in agreed]
    return "\n".join(lines)
