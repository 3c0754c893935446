"""From a file to packages: reads records, lets them mean something, enriches them as if they had been sent."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec.structs import replace

from appliance.clock import DAY, MILLISECOND, now
from appliance.ingest.admission import Grant
from appliance.ingest.arrival import Arrival
from appliance.ingest.data_centres import DataCentres
from appliance.ingest.exclusions import checks_of
from appliance.ingest.geo import Locator
from appliance.ingest.imports.format import Context, Exact, Reader
from appliance.ingest.imports.lines import Lines
from appliance.ingest.imports.package import Package
from appliance.ingest.imports.salts import ImportSalts
from appliance.ingest.pipeline import Dropped, Rejected, enrich
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Decoded, Sent
from appliance.model import Flag
from appliance.storage.imported_figures import Figure
from appliance.storage.imports import FAULTS_KEPT, Counts, Fault, Step

# One package is one transaction, for which live events wait: some 50 ms.
EVENTS_MAX: Final = 1000
LINES_MAX: Final = 20_000
BYTES_MAX: Final = 4 << 20
_IMPORTED: Final = int(Flag.IMPORTED)


def sender_of(context: Context, salts: ImportSalts, locator: Locator, data_centres: DataCentres) -> Sender:
    """Who sends what is imported: nobody's browser, with visitors' addresses and agents that are always believed. It is
    filtered as what is sent."""
    project = context.project
    believing = replace(project, settings=replace(project.settings, trust_stated_address=True))
    checks = checks_of(project, context.rules, data_centres)
    arrival = Arrival("POST", "", b"", {}, peer="", secure=False, received=now())
    nothing = Decoded([], single=False)
    return Sender(arrival, Grant(believing, browser=False, keyless=False), nothing, salts, locator, checks)


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

    def packages(self, bytes_read: Callable[[], int]) -> Iterator[Package]:
        """`bytes_read` tells how far the file is read. Ends at the end of the file."""
        lines = self._lines
        while True:
            before = lines.position
            step = Step(self._import_id, before, before, lines.line, b"", 0, [], Counts(dropped={}, faults=[]))
            package = Package(step, self._sender.project.id, [], [], [], [])
            self._fill(package)
            if lines.position == before:
                return
            step.after, step.line, step.digest = lines.position, lines.line, lines.hasher.digest()
            step.bytes_read, step.salts = bytes_read(), self._salts.take_made()
            yield package

    def _fill(self, package: Package) -> None:
        """Take in what the next lines mean, as much as goes into a package."""
        lines, counts = self._lines, package.step.counts
        received = now()
        self._sender.received = received - received % MILLISECOND
        before = lines.line
        lines_max, bytes_max = lines.line + LINES_MAX, lines.position + BYTES_MAX
        for record in self._records:
            try:
                if isinstance(record, Rejected):
                    raise record
                self._take(self._read(record), package)
            except Rejected as fault:
                counts.refused += 1
                if len(counts.faults) < FAULTS_KEPT:
                    counts.faults.append(Fault(lines.line, fault.code, str(fault)[:300]))
            except Dropped as drop:
                counts.dropped[drop.reason] = counts.dropped.get(drop.reason, 0) + 1
            if package.size >= EVENTS_MAX or lines.line >= lines_max or lines.position >= bytes_max:
                break
        counts.lines = lines.line - before
        times = [event.time for taken in (package.events, package.exact) for event in taken]
        times += [figure.day * DAY for figure in package.figures]
        counts.first, counts.last = min(times, default=None), max(times, default=None)

    def _take(self, meant: Sent | Exact | list[Figure] | None, package: Package) -> None:
        if isinstance(meant, Sent):
            event = enrich(meant, self._sender)
            event.flags |= _IMPORTED
            event.source = event.source or self._source
            package.events.append(event)
        elif isinstance(meant, Exact):
            package.exact.append(meant.event)
            package.visits.append(meant.visit)
        elif meant is not None:
            package.figures += meant
            package.step.counts.figures += 1
