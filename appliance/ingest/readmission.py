"""Lets in what was filtered: the events go through the journal as they would have when they were sent, with their ids
and times. An id counts once, so nothing can be let in twice."""

from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from appliance.errors import Unavailable
from appliance.ingest.drain import join_events
from appliance.ingest.refusals import Refusals, Wanted
from appliance.model import Project
from appliance.storage import audit, erasures
from appliance.storage.interface import Database

RECORD_EVENTS_MAX = 1000
RECORD_BYTES_MAX = 1 << 20


class LetIn(NamedTuple):
    """How many events were let in, and how many of those asked for could not be: their events are not kept any more,
    or they may be somebody's who was erased since."""

    events: int
    gone: int


async def let_in(
    database: Database,
    refusals: Refusals,
    journal: Callable[[list[bytes], int], Awaitable[None]],
    project: Project,
    wanted: Wanted,
    *,
    actor: str,
    now: int,
) -> LetIn:
    """Let in the filtered events of a project that are looked for. `journal` takes payloads of records and how
    many events they have, and returns once they are on disk.

    Raises StorageUnavailable, JournalFull, JournalFailed; then the same can be asked for again.
    """
    erased_at = await erasures.newest(database, project.id)
    chosen = [refusal for refusal in refusals.every(project.id, now, wanted) if refusal.kept and not refusal.let_in]
    events = refusals.take_events(refusal for refusal in chosen if refusal.at > erased_at)
    if events:
        try:
            await journal([join_events(group) for group in _groups(list(events.values()))], len(events))
        except Unavailable:
            # What was journaled nevertheless is recognised by its id.
            refusals.give_back(events)
            raise
        about = wanted.reason or "all reasons"
        detail = f"{len(events)} filtered as {about}" + (f", rule {wanted.rule}" if wanted.rule else "")
        await audit.record(database, now, actor, "exclusion.let_in", project.name, detail)
    return LetIn(len(events), len(chosen) - len(events))


def _groups(events: list[bytes]) -> Iterator[list[bytes]]:
    """The events in order, as many together as a record takes."""
    group: list[bytes] = []
    size = 0
    for event in events:
        if group and (len(group) == RECORD_EVENTS_MAX or size + len(event) > RECORD_BYTES_MAX):
            yield group
            group, size = [], 0
        group.append(event)
        size += len(event)
    if group:
        yield group
