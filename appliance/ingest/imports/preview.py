"""What an import would do, without doing anything."""

import asyncio
from pathlib import Path

from appliance.ingest.data_centres import DataCentres
from appliance.ingest.geo import Locator
from appliance.ingest.imports.format import Context, Head
from appliance.ingest.imports.identify import LOOK_BYTES, Look, compare
from appliance.ingest.imports.lines import Lines, records
from appliance.ingest.imports.opening import Opened, read_head, telling_of_damage
from appliance.ingest.imports.reading import Reading, sender_of
from appliance.ingest.imports.run import Tell, Where, context_of, pass_over
from appliance.ingest.imports.salts import ImportSalts
from appliance.model import Project
from appliance.storage import imports
from appliance.storage.imports import Counts
from appliance.storage.interface import Database


async def preview(
    db: Database, project: Project, path: Path, look: Look, where: Where, *, honours: bool, tell: Tell
) -> tuple[int, Counts]:
    """How many lines are new, and what they mean: `stored` is how many events would be, before deduplication. Raises
    Invalid for a damaged file."""
    candidates = await imports.candidates(db, project.id, look.head)
    context = await context_of(db, project, honours=honours)
    return await asyncio.to_thread(_count, context, path, look, where, candidates, tell)


def _count(
    context: Context,
    path: Path,
    look: Look,
    where: Where,
    candidates: list[imports.Import],
    tell: Tell,
) -> tuple[int, Counts]:
    total = Counts(dropped={}, faults=[])
    found = compare(path, candidates)
    if not found.behind:
        return 0, total
    salts = ImportSalts(b"", {})
    with Opened(path) as opened, telling_of_damage():
        reader = look.format.reader(Head.of(read_head(opened.stream, LOOK_BYTES)), context)
        opened.rewind()
        lines = Lines(opened.stream, whole=True)
        rows = records(lines, look.format.records)
        if found.before is not None:
            pass_over(look.format, lines, rows, reader, found.before)
        sender = sender_of(context, salts, Locator(where.geo), DataCentres(where.data_centres))
        first = lines.line
        reading = Reading("", "", lines, rows, reader, sender, salts)
        for package in reading.packages(lambda: opened.read):
            counts = package.step.counts
            counts.stored = len(package.events) + len(package.exact)
            total.add(counts)
            tell(package.step.bytes_read, opened.total, total)
        return lines.line - first, total
