"""Measures what storing costs where many people are on a site at once: `python -m perf.people`.

The drain's work on one event of a full batch, on each engine, while so many different visitors come and go. It is
compared with few, all of whom the drain remembers; of many it has to ask the database.
"""

import gc
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

from appliance.clock import DAY, now
from appliance.ingest.batch import Batch
from appliance.ingest.drain import BATCH_EVENTS_MAX
from appliance.ingest.drain_worker import GC_OBJECTS
from appliance.model import Event, Flag, Kind
from appliance.storage.interface import DrainStore
from appliance.storage.location import drain_store_at
from appliance.storage.postgresql.migrate import migrate as migrate_server
from appliance.storage.sqlite.migrate import migrate as migrate_file
from perf.figures import table
from perf.servers import SETTINGS
from tests.postgresql import has_timescaledb, programs, server

PEOPLE: Final = (5_000, 50_000, 300_000)
EVENTS_EACH: Final = 3  # that a visitor sends while it is measured, on average
BATCHES_MIN: Final = 10
BROWSERS: Final = ("Chrome", "Firefox", "Safari")
COUNTRIES: Final = ("DE", "FR", "US", "JP", "BR")


def main() -> None:
    print(f"batches of {BATCH_EVENTS_MAX:,} events, load {os.getloadavg()[0]:.2f}")
    gc.set_threshold(GC_OBJECTS, 20, 100)  # as in the drain's process
    rows = []
    for name in _engines():
        costs = [_cost(name, people) for people in PEOPLE]
        cells = [f"{cost:.0f}" for cost in costs]
        rows.append((name, *cells, f"{costs[-1] / costs[0]:.1f}"))
        print(rows[-1], flush=True)
    head = ("µs an event", *(f"{people:,} people" for people in PEOPLE), "last ÷ first")
    print(table(head, rows))


def _engines() -> list[str]:
    engines = ["SQLite"]
    if has_timescaledb():
        engines.append("TimescaleDB")
    return [*engines, "PostgreSQL"] if programs() is not None else engines


def _cost(engine: str, people: int) -> float:
    """Microseconds an event, once everybody has been there."""
    chance = Random(people)
    with _store(engine) as store:
        batch = Batch(store.settings_of)
        batches = max(BATCHES_MIN, people * EVENTS_EACH // BATCH_EVENTS_MAX)
        _drain(store, batch, [_event(chance, visitor) for visitor in range(people)])
        spent = 0.0
        for _ in range(batches):
            events = [_event(chance, chance.randrange(people)) for _ in range(BATCH_EVENTS_MAX)]
            began = time.perf_counter()
            _drain(store, batch, events)
            spent += time.perf_counter() - began
    return 1e6 * spent / batches / BATCH_EVENTS_MAX


def _drain(store: DrainStore, batch: Batch, events: list[Event]) -> None:
    for start in range(0, len(events), BATCH_EVENTS_MAX):
        part = events[start : start + BATCH_EVENTS_MAX]

        def work(tx: Any, part: list[Event] = part) -> None:
            batch.apply(tx, part)

        store.transact(work)


def _event(chance: Random, visitor: int) -> Event:
    """A page view of one of many visitors, who is told by a number that looks like a hash."""
    at = now()
    number = visitor * 0x9E3779B97F4A7C15 & 0x7FFFFFFFFFFFFFFF
    return Event(
        project_id=1, event_id="", kind=Kind.PAGEVIEW, name="pageview", time=at, received=at, visitor=number,
        salt_day=at // DAY, hostname="example.com", path=f"/page/{chance.randrange(500)}", channel="Direct",
        country=COUNTRIES[visitor % len(COUNTRIES)], browser=BROWSERS[visitor % len(BROWSERS)],
        flags=int(Flag.MINTED),
    )  # fmt: skip


@contextmanager
def _store(engine: str) -> Iterator[DrainStore]:
    with ExitStack() as stack:
        if engine == "SQLite":
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="appliance-perf-"))) / "appliance.db"
            migrate_file(path, path.parent)
            url = f"sqlite:///{path}"
        else:
            started = stack.enter_context(server(timescaledb=engine == "TimescaleDB", **SETTINGS))
            url = started.new_database()
            migrate_server(url)
        yield stack.enter_context(closing(drain_store_at(url)))


if __name__ == "__main__":
    main()
