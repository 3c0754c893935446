"""How much each key was used on each UTC day: counted in memory where requests come in, added up here."""

from collections.abc import Mapping
from typing import NamedTuple

from appliance.clock import DAY
from appliance.storage.catalogue_version import Statement
from appliance.storage.interface import Database

KEPT = 400 * DAY


class Use(NamedTuple):
    """What was sent with a key: requests, and the events in them, whatever became of those."""

    requests: int
    events: int
    last_at: int  # UTC microseconds


async def add(db: Database, uses: Mapping[tuple[int, int], Use]) -> None:
    """Add what was counted since the last time, by key and day (since 1970), in one transaction. A key that is gone
    meanwhile is passed over. Raises StorageUnavailable."""
    statements: list[Statement] = []
    for (key_id, day), use in uses.items():
        values = {"key": key_id, "day": day, "requests": use.requests, "events": use.events, "at": use.last_at}
        statements += [
            (
                """
                INSERT INTO key_use (key_id, day, requests, events)
                SELECT id, :day, :requests, :events FROM api_key WHERE id = :key
                ON CONFLICT (key_id, day) DO UPDATE SET
                  requests = key_use.requests + excluded.requests, events = key_use.events + excluded.events
                """,
                {name: values[name] for name in ("key", "day", "requests", "events")},
            ),
            (
                "UPDATE api_key SET last_used_at = :at WHERE id = :key AND coalesce(last_used_at, 0) < :at",
                {name: values[name] for name in ("key", "at")},
            ),
        ]
    if statements:
        await db.write_all(statements)


async def audit_days(db: Database, at: int) -> None:
    """Write a row into the audit log for each key and day that is over, once; forget days long gone.

    A day is over an hour after its end: by then every appliance has added what it counted.
    """
    values = {"before": (at - DAY // 24) // DAY}
    await db.write_all(
        [
            (
                f"""
                INSERT INTO audit (at, actor, action, subject, detail)
                SELECT (u.day + 1) * {DAY}, k.prefix, 'key.use', p.name,
                  CAST(u.requests AS TEXT) || ' requests with ' || CAST(u.events AS TEXT) || ' events'
                FROM key_use u JOIN api_key k ON k.id = u.key_id JOIN project p ON p.id = k.project_id
                WHERE u.audited = 0 AND u.day < :before ORDER BY u.day, u.key_id
                """,
                values,
            ),
            ("UPDATE key_use SET audited = 1 WHERE audited = 0 AND day < :before", values),
            ("DELETE FROM key_use WHERE day < :kept", {"kept": (at - KEPT) // DAY}),
        ]
    )
