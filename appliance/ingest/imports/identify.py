"""Which file this is: what its format is, and whether it was imported before, and up to where."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from appliance.clock import now
from appliance.errors import Invalid
from appliance.ingest.imports import formats
from appliance.ingest.imports.format import Format, Head
from appliance.ingest.imports.lines import Lines
from appliance.ingest.imports.opening import Opened, read_head, telling_of_damage
from appliance.model import Project
from appliance.storage import imports
from appliance.storage.imports import HEAD_BYTES, Import, State
from appliance.storage.interface import Database

LOOK_BYTES: Final = 1 << 16  # of a file's beginning, to tell its format


class Given(NamedTuple):
    """What is said with a file: its name, its format (None: it tells by itself), the source of events that name none,
    whether visits and visitors are taken as it says, and who says all this."""

    name: str
    file_format: str | None
    source: str
    honours: bool
    actor: str


class Look(NamedTuple):
    """A file as it is found: its format, its first bytes, its size as it lies there."""

    format: Format
    head: bytes
    total: int


class Found(NamedTuple):
    """`before` is the import that took the file before, as far as its position; None: nobody did. `behind`: whether
    there is anything behind that position, or at least an end that the import did not come to say."""

    before: Import | None
    behind: bool


def look_at(path: Path, wanted: str | None) -> Look:
    """Look at a file; `wanted` names its format, None: it tells by itself. Raises Invalid."""
    with Opened(path) as opened:
        data = read_head(opened.stream, LOOK_BYTES)
        total = opened.total
    return look_at_bytes(data, wanted, total)


def look_at_bytes(data: bytes, wanted: str | None, total: int) -> Look:
    """The same with a file's first bytes, decompressed."""
    if not data:
        raise Invalid("The file is empty.", code="empty_file")
    file_format = formats.by_name(wanted) if wanted else formats.detect(Head.of(data))
    return Look(file_format, data[:HEAD_BYTES], total)


def compare(path: Path, candidates: list[Import]) -> Found:
    """Which of the imports that begin as this file does took it before. Reads as much of it as they have.

    A file that is shorter than what was imported of one with the same beginning is taken for an earlier copy of it.
    Raises Invalid for a damaged one.
    """
    found: Import | None = None
    with Opened(path) as opened, telling_of_damage():
        lines = Lines(opened.stream, whole=True)
        for candidate in sorted(candidates, key=lambda each: each.position):
            if not lines.skip(candidate.position, candidate.line):
                return Found(candidate, behind=False)
            if lines.hasher.digest() == candidate.digest:
                found = candidate
        if found is None:
            return Found(None, behind=True)
        if found.position == lines.position:
            # One that was killed when all was stored has yet to say so.
            return Found(found, behind=found.state != "done" or bool(opened.stream.read(1)))
        return Found(found, behind=True)


async def register(
    db: Database,
    project: Project,
    path: Path,
    look: Look,
    given: Given,
    *,
    state: State,
    is_held: Callable[[str], bool],
    place: Callable[[str], None] = lambda import_id: None,
) -> tuple[Import, bool]:
    """The import of a file, begun or gone on with, and whether there is anything to do; it is put into `state` then.

    `is_held` tells whether somebody works on an import. `place` puts the file where it is looked for under the import's
    id, before the ledger knows of it. Raises Invalid: 409 where the same file is being imported, or was imported in
    another format.
    """
    stated = given.file_format is not None
    candidates = await imports.candidates(db, project.id, look.head)
    found = await asyncio.to_thread(compare, path, candidates) if candidates else Found(None, behind=True)
    before = found.before
    if before is None:
        import_id = imports.mint_id()
        place(import_id)
        made = await imports.create(
            db,
            project.id,
            import_id,
            name=given.name,
            file_format=look.format.name,
            source=given.source,
            honoured=given.honours,
            head=look.head,
            bytes_total=look.total,
            state=state,
            actor=given.actor,
            at=now(),
        )
        return made, True
    if stated and before.format != look.format.name and before.counts.stored:
        raise Invalid(
            f"The file was imported as {before.format} already.", code="imported_in_another_format", status=409
        )
    again = stated and before.format != look.format.name
    if not found.behind and not again:
        return before, False
    if before.state == "waiting" or is_held(before.id):
        raise Invalid("The same file is being imported, or waits for it.", code="import_running", status=409)
    place(before.id)
    file_format = look.format.name if again else before.format
    taken = await imports.take_up(
        db, before, head=look.head, bytes_total=look.total, state=state, file_format=file_format, at=now()
    )
    return taken, True
