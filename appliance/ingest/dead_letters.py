"""Takes events that the database refused into the journal again, when somebody asked for it."""

import asyncio

import msgspec
import structlog

from appliance.ingest.drain import encode_events
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.journal import Journal
from appliance.model import Event, Flag
from appliance.storage import dead_letters
from appliance.storage.interface import Database

log = structlog.get_logger(__name__)

AT_ONCE = 500


def read_letter(event: bytes) -> Event:
    """The event of a dead letter. Raises ValueError where it is not one."""
    return msgspec.msgpack.decode(event, type=Event)


async def retry(database: Database, journal: Journal, drain: DrainClient) -> int:
    """Journal what is asked for, then forget it as dead letters; how many.

    Their ids are remembered from now on, also those that the server minted: after a crash between the two, or where two
    appliances do this at the same moment, an event is in a journal twice, and is stored once. Raises JournalFull,
    JournalFailed, StorageUnavailable.
    """
    events, taken = [], []
    for letter in await dead_letters.asked_for(database, AT_ONCE):
        try:
            event = read_letter(letter.event)
        except ValueError as error:
            await dead_letters.unreadable(database, letter.id, f"the record cannot be read: {error}")
            continue
        event.flags &= ~Flag.MINTED
        events.append(event)
        taken.append(letter.id)
    if events:
        await asyncio.shield(journal.append(encode_events(events)))
        drain.changed()
        await dead_letters.journaled(database, taken)
        log.info("dead letters are stored again", events=len(events))
    return len(events)
