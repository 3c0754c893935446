"""From a file to packages: reads records, lets them mean something, enriches them as if they had been sent."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from appliance.clock import MILLISECOND, now
from appliance.ingest.admission import Grant
from appliance.ingest.arrival import Arrival
from appliance.ingest.geo import Locator
from appliance.ingest.imports.format import Exact, Reader
from appliance.ingest.imports.lines import Lines
from appliance.ingest.imports.package import OfVisit, Package
from appliance.ingest.imports.salts import ImportSalts
from appliance.ingest.pipeline import Dropped, Rejected, enrich
from appliance.ingest.sender import Sender
from appliance.model import Event, Flag, Project
from appliance.storage.imports import FAULTS_KEPT, Counts, Fault, Step

# One package is one transaction, for which live events wait: some 50 ms.
EVENTS_MAX: Final = 1000
LINES_MAX: Final = 20_000
BYTES_MAX: Final = 4 << 20
_IMPORTED: Final = int(Flag.IMPORTED)


def sender_of(project: Project, salts: ImportSalts, locator: Locator) -> Sender:
    """Who sends what is imported: nobody's browser, with visitors' addresses and agents that are always believed."""
    believing = replace(project, settings=replace(project.settings, trust_stated_address=True))
    arrival = Arrival("POST", "", b"", {}, peer="", secure=False, received=now())
    return Sender(arrival, Grant(believing, browser=False, keyless=False), None, salts, locator)


class Reading:
    """What is left of a file, as packages. Each begins where the one before ended."""

    def __init__(
        self, import_id: str, source: str, lines: Lines, records: Iterator[Any], reader: Reader, sender: Sender,
        salts: ImportSalts,
    ) -> None:  # fmt: skip
        self._import_id = import_id
        self._source = source
        self._lines = lines
        self._records = records
        self._read = reader
        self._sender = sender
        self._salts = salts

    def packages(self, bytes_read: Any) -> Iterator[Package]:
        """`bytes_read` tells how far the file is read. Ends at the end of the file."""
        while True:
            before = self._lines.position
            events, exact, visits, counts = self._some()
            if self._lines.position == before:
                return
            step = Step(
                self._import_id,
                before,
                self._lines.position,
                self._lines.line,
                self._lines.hasher.digest(),
                bytes_read(),
                self._salts.take_made(),
                counts,
            )
            yield Package(step, events, exact, visits)

    def _some(self) -> tuple[list[Event], list[Event], list[OfVisit], Counts]:
        """What the next lines mean, as much as goes into a package."""
        sender, lines = self._sender, self._lines
        received = now()
        sender.received = received - received % MILLISECOND
        events: list[Event] = []
        exact: list[Event] = []
        visits: list[OfVisit] = []
        counts = Counts(dropped={}, faults=[])
        before = lines.line
        lines_max, bytes_max = lines.line + LINES_MAX, lines.position + BYTES_MAX
        for record in self._records:
            number = lines.line
            try:
                if isinstance(record, Rejected):
                    raise record
                meant = self._read(record)
                if isinstance(meant, Exact):
                    exact.append(meant.event)
                    visits.append(meant.visit)
                elif meant is not None:
                    event = enrich(meant, sender)
                    event.flags |= _IMPORTED
                    event.source = event.source or self._source
                    events.append(event)
            except Rejected as fault:
                counts.refused += 1
                if len(counts.faults) < FAULTS_KEPT:
                    counts.faults.append(Fault(number, fault.code, str(fault)[:300]))
            except Dropped as drop:
                counts.dropped[drop.reason] = counts.dropped.get(drop.reason, 0) + 1
            if len(events) + len(exact) >= EVENTS_MAX or lines.line >= lines_max or lines.position >= bytes_max:
                break
        counts.lines = lines.line - before
        times = [event.time for taken in (events, exact) for event in taken]
        counts.first, counts.last = min(times, default=None), max(times, default=None)
        return events, exact, visits, counts
