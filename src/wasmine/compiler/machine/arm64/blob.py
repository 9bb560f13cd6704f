"""The hand-written sequences, one behind another."""

from __future__ import annotations

from wasmine.compiler.machine.arm64.assembly import Assembly
from wasmine.compiler.machine.arm64.bulk import bulk
from wasmine.compiler.machine.arm64.calls import record_calls, services
from wasmine.compiler.machine.arm64.entry import entry, traps
from wasmine.compiler.machine.arm64.faults import faults
from wasmine.compiler.machine.arm64.function import function
from wasmine.compiler.machine.arm64.host import host
from wasmine.compiler.machine.arm64.interrupts import interrupts
from wasmine.compiler.machine.arm64.linux import DATA
from wasmine.compiler.machine.arm64.ownership import registers, seize
from wasmine.compiler.machine.arm64.steps import steps
from wasmine.compiler.machine.arm64.ticker import ticker


def assemble() -> tuple[bytes, dict[str, int]]:
    """The blob and the offsets of its symbols."""
    to = Assembly()
    to.data(bytes(8))
    for write in (
        entry,
        traps,
        services,
        record_calls,
        host,
        function,
        steps,
        bulk,
        faults,
        interrupts,
        ticker,
        seize,
        registers,
    ):
        write(to)
    to.label("blob_end", public=True)
    to.place("data", DATA)
    return to.finish(), to.public
