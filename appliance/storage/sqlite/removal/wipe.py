"""Wiping what was erased from the file: from pages that are free, and from the write-ahead file.

A row that is deleted leaves its bytes in a page that becomes free, and rows that were sealed long ago left theirs so.
Blank rows are laid over all free pages and deleted again, which with `secure_delete=ON` fills them with zeros. Then the
write-ahead file, which has the pages as they were, is copied into the database and cut off.
"""

import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from appliance.clock import now
from appliance.storage.sqlite.steps import Transact
from appliance.storage.sqlite.writer import WriteConnection

STEP_PAGES: Final = 512
# A reader that is in the middle of something keeps the write-ahead file. Each try waits for the busy timeout itself.
TRIES: Final = 3
TRY_SECONDS: Final = 1.0


def delete_securely(connection: sqlite3.Connection) -> None:
    """From now on what this connection deletes is overwritten."""
    connection.execute("PRAGMA secure_delete=ON")


def wipe_free_pages(transact: Transact) -> Iterator[None]:
    """Overwrite all free pages, in steps of bounded size. The connection deletes securely."""
    while transact(_cover):
        yield
    while transact(_uncover):
        yield


def wipe(connection: WriteConnection, pause_seconds: float) -> bool:
    """Leave nothing in the file of whom was erased so far. False: a reader is in the way; try again later."""
    erased = connection.step(_waiting)
    if not erased:
        return True
    for _ in wipe_free_pages(connection.step):
        time.sleep(pause_seconds)
    for _ in range(TRIES):
        if connection.checkpoint("TRUNCATE"):
            connection.transaction(partial(_note, erasures=erased), durable=True)
            return True
        time.sleep(TRY_SECONDS)
    return False


def _waiting(connection: sqlite3.Connection) -> list[int]:
    select = "SELECT id FROM erasure WHERE erased_at IS NOT NULL AND wiped_at IS NULL"
    return [erasure_id for (erasure_id,) in connection.execute(select)]


def _note(connection: sqlite3.Connection, erasures: list[int]) -> None:
    note = "UPDATE erasure SET wiped_at = ? WHERE id = ?"
    connection.executemany(note, ((now(), erasure_id) for erasure_id in erasures))


def _cover(connection: sqlite3.Connection) -> bool:
    ((free,),) = connection.execute("PRAGMA freelist_count").fetchall()
    ((page_bytes,),) = connection.execute("PRAGMA page_size").fetchall()
    if free:
        # Needs more pages than its bytes: the last ones are made at the end of the file.
        insert = "INSERT INTO blank (data) VALUES (zeroblob(?))"
        connection.execute(insert, (min(free, STEP_PAGES) * page_bytes,))
    return bool(free)


def _uncover(connection: sqlite3.Connection) -> bool:
    return connection.execute("DELETE FROM blank WHERE id = (SELECT min(b.id) FROM blank b)").rowcount > 0
