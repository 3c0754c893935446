"""Fills the deduplication table as months of traffic would: `seen` is what a busy appliance carries along."""

import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

DAYS = 7
DAY_MS = 86_400_000
BATCH_ROWS = 100_000


def fill(database: Path, project: int, count: int, kind: str) -> float:
    """Insert `count` ids of the last 7 days: 'own' (minted by the tracker, time-ordered) or 'uuid' (random). Gives the
    seconds it took. No server may run."""
    started = time.perf_counter()
    connection = sqlite3.connect(database)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-200000;")
    now = time.time_ns() // 1_000_000
    ids = _own(now, count) if kind == "own" else _uuids(count)
    insert = "INSERT INTO seen (project_id, event_id, received_day, fingerprint, event) VALUES (?, ?, ?, ?, 0)"
    for start in range(0, count, BATCH_ROWS):
        rows = min(BATCH_ROWS, count - start)
        batch = (
            (project, next(ids), (now - DAYS * DAY_MS * (count - start) // count) // DAY_MS, start + row)
            for row in range(rows)
        )
        with connection:
            connection.executemany(insert, batch)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return time.perf_counter() - started


def _own(now: int, count: int) -> Iterator[bytes]:
    """6 bytes of milliseconds, 4 of chance (storage/event_ids.py), in order of time."""
    first = now - DAYS * DAY_MS
    for number in range(count):
        yield (first + DAYS * DAY_MS * number // count).to_bytes(6, "big") + secrets.token_bytes(4)


def _uuids(count: int) -> Iterator[bytes]:
    """16 random bytes, in order, because inserting out of order would take an hour and end as the same tree."""
    step = (1 << 64) // (count + 1)
    for number in range(count):
        yield (number * step + secrets.randbelow(step)).to_bytes(8, "big") + secrets.token_bytes(8)
