"""What drains tell the other appliances on a database: by NOTIFY, in the transaction that stored it.

A notification is the sender's journal id and the report, in base 64; one that is too large for that stands in table
`notice`, and the notification has its number. Where one appliance runs alone, nothing is sent.

Each appliance says in its row of table `appliance` whose events somebody streams there: those are told in full. When it
was seen is told by the server's clock, for their own may differ by more than it takes to be given up.
"""

import asyncio
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, Final

import msgspec
import psycopg
import structlog

from appliance.clock import MICROSECONDS, MINUTE
from appliance.storage.postgresql.connection import parameters

log = structlog.get_logger(__name__)

CHANNEL: Final = "appliance_stored"
PAYLOAD_MAX: Final = 7_900  # PostgreSQL takes less than 8,000 bytes
SEEN_SECONDS: Final = 5
GONE: Final = 30 * MICROSECONDS  # who was not seen for so long runs no more
NOTICES_KEPT: Final = 2 * MINUTE  # whoever hears of one reads it at once
RETRY_SECONDS: Final = 2

_NOW: Final = "CAST(extract(epoch FROM now()) * 1000000 AS BIGINT)"
_SEEN: Final = (
    f"INSERT INTO appliance (journal_id, seen_at) VALUES (%s, {_NOW})"
    " ON CONFLICT (journal_id) DO UPDATE SET seen_at = excluded.seen_at"
)
WATCH: Final = (
    f"INSERT INTO appliance (journal_id, seen_at, watched) VALUES (:journal_id, {_NOW}, :watched)"
    " ON CONFLICT (journal_id) DO UPDATE SET seen_at = excluded.seen_at, watched = excluded.watched"
)
_OTHERS: Final = f"SELECT a.watched FROM appliance a WHERE a.journal_id <> %s AND a.seen_at > {_NOW} - {GONE}"
_KEEP: Final = f"INSERT INTO notice (at, report) VALUES ({_NOW}, %s) RETURNING id"
_CLEAN: Final = f"DELETE FROM notice WHERE at < {_NOW} - {NOTICES_KEPT}"


_watched = msgspec.json.Decoder(list[int]).decode


def announce(
    connection: psycopg.Connection[tuple[Any, ...]],
    journal_id: bytes,
    report: Callable[[Collection[int]], Sequence[bytes]],
) -> None:
    """Tell other appliances, if there are any, when the transaction that is open commits; `report` gets the projects
    that they watch, and gives messages, which are told in their order."""
    others = connection.execute(_OTHERS, (journal_id,)).fetchall()
    if not others:
        return
    for told in report({project_id for (watched,) in others for project_id in _watched(watched)}):
        payload = f"{journal_id.hex()}:{b64encode(told).decode()}"
        if len(payload) > PAYLOAD_MAX:
            row = connection.execute(_KEEP, (told,)).fetchone()
            assert row is not None
            payload = f"{journal_id.hex()}#{row[0]}"
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))


async def announcements(url: str, journal_id: bytes) -> AsyncIterator[bytes]:
    """What drains of other journals announce from now on, for ever. Says meanwhile that this appliance is there."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, **parameters(url)) as connection:
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                due = 0.0
                while True:
                    if time.monotonic() >= due:
                        due = time.monotonic() + SEEN_SECONDS
                        await connection.execute(_SEEN, (journal_id,))
                        await connection.execute(_CLEAN)
                    # The connection is free for the report of a large one only when nobody listens on it.
                    heard = [told async for told in connection.notifies(timeout=SEEN_SECONDS, stop_after=1)]
                    for notification in heard:
                        report = await _report(connection, notification.payload, journal_id.hex())
                        if report is not None:
                            yield report
        except psycopg.Error as error:
            log.warning("other appliances are not heard", error=str(error).strip())
            await asyncio.sleep(RETRY_SECONDS)


async def _report(connection: psycopg.AsyncConnection[Any], payload: str, own: str) -> bytes | None:
    """None for what is our own, or was kept too long ago."""
    sender, mark, rest = payload.partition(":") if ":" in payload else payload.partition("#")
    if sender == own:
        return None
    if mark == ":":
        return b64decode(rest)
    row = await (await connection.execute("SELECT report FROM notice WHERE id = %s", (int(rest),))).fetchone()
    return None if row is None else bytes(row[0])
