"""Measures dashboards beside DuckDB and chDB on the same events: `python -m perf.queries --events 1000000`.

A dashboard is the totals, visitors by day, and eight panels. "First" is a question with a value that was not asked
before, on warm engines; "again" the same question once more. Each figure is the median of several values.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.clock import now
from appliance.model import ACQUISITION_FIELDS
from appliance.queries import timeseries
from appliance.queries.filters import AllOf, Leaf
from appliance.queries.period import Range
from appliance.queries.question import Report, Scope
from appliance.queries.reports import Reports
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.migrate import migrate
from appliance.storage.sqlite.seal import seal_settled
from appliance.storage.sqlite.writer import WriteConnection
from perf.dataset import DAY, NAMES, PAGES, VALUES, Dataset, make
from perf.figures import table
from perf.peers import PANELS, ROWS, Answer, Peer, Question, peers
from perf.processes import memory_mb

PROJECT = 1
TIMES = 3
DIMENSIONS = {"path": "event:page", "referrer_source": "visit:source"}
TOTALS = ("visitors", "visits", "pageviews", "events", "bounce_rate", "visit_duration", "views_per_visit")


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m perf.queries", description=__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    data = make(chosen.events, chosen.seed)
    print(f"{len(data.event['id']):,} events, {len(data.visit['id']):,} visits, load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(prefix="appliance-perf-") as folder, peers(Path(folder), data) as others:
        path = Path(folder) / "appliance.db"
        write(path, data)
        seal(path)
        print(f"file of the appliance: {path.stat().st_size / len(data.event['id']):.1f} bytes an event")
        asyncio.run(_measure(path, data, others))


async def _measure(path: Path, data: Dataset, others: Sequence[Peer]) -> None:
    ours = Ours(path)
    rows = []
    for name, filters, days in QUESTIONS:
        asked = [_question(data, name, filters, days, turn) for turn in range(TIMES)]
        first, again = await ours.times(asked)
        beside = []
        for peer in others:
            taken = []
            for question in asked:
                answer, seconds = peer.dashboard(question)
                _same(ours.answers[question.name], answer, f"{peer.name}: {question}")
                taken.append(seconds)
            beside.append(statistics.median(taken))
        fastest = min(beside)
        rows.append(
            (name, f"{1000 * first:.0f}", f"{1000 * again:.0f}", *(f"{1000 * seconds:.0f}" for seconds in beside),
             f"{first / fastest:.2f}", f"{again / fastest:.2f}")
        )  # fmt: skip
    head = ("dashboard, ms", "ours, first", "ours, again", *(peer.name for peer in others), "first ÷", "again ÷")
    print(table(head, rows))
    print(f"the query worker's memory: {ours.memory_mb():.0f} MB")
    await ours.close()


QUESTIONS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("30 days", (), 30),
    ("12 months", (), 365),
    ("30 days, country", ("country",), 30),
    ("12 months, country", ("country",), 365),
    ("30 days, page", ("path",), 30),
    ("12 months, page", ("path",), 365),
    ("30 days, country and page", ("country", "path"), 30),
    ("12 months, country and page", ("country", "path"), 365),
)


def _question(data: Dataset, name: str, filters: Sequence[str], days: int, turn: int) -> Question:
    """The turn-th of such questions: other days where there are others, other values."""
    last = data.end - turn * DAY if days < 365 else data.end
    return Question(f"{name} {turn}", last - days * DAY, last, dict.fromkeys(filters, 2 + turn))


class Ours:
    """The appliance's own engine, asked as a page asks it."""

    def __init__(self, path: Path) -> None:
        self._engine = Evaluator(path, temp_directory=path.parent / "tmp", timeout_seconds=600)
        self._reports = Reports(self._engine)
        self.answers: dict[str, Answer] = {}

    async def times(self, asked: Sequence[Question]) -> tuple[float, float]:
        """Seconds of a question's first and second time; what only the very first question costs is left out."""
        await self._ask(asked[0]._replace(filters=dict.fromkeys(asked[0].filters, 1)))
        first: list[float] = []
        again: list[float] = []
        for question in asked:
            for taken in (first, again):
                began = time.perf_counter()
                self.answers[question.name] = await self._ask(question)
                taken.append(time.perf_counter() - began)
        return statistics.median(first), statistics.median(again)

    async def _ask(self, question: Question) -> Answer:
        leaves = tuple(Leaf("is", _dimension(name), (_text(name, code),)) for name, code in question.filters.items())
        days = (question.end - question.start) // DAY
        there = Range(question.start, question.end, "UTC", question.end, "day", days)
        panels = [Report(("visitors",), (_dimension(name),), limit=ROWS) for name in PANELS]
        reports = [Report(TOTALS), timeseries.report(("visitors",), "day"), *panels]
        totals, days_found, *tables = (await self._reports.ask([(Scope(PROJECT, there, AllOf(leaves)), reports)]))[0]
        answer: Answer = {"totals": totals.rows[0].values, "days": [row.values[0] for row in days_found.rows]}
        return answer | {
            name: [row.values[0] for row in found.rows] for name, found in zip(PANELS, tables, strict=True)
        }

    def memory_mb(self) -> float:
        assert self._engine.worker_pid is not None
        return memory_mb(self._engine.worker_pid)

    async def close(self) -> None:
        await self._engine.close()


def _same(ours: Answer, theirs: Answer, where: str) -> None:
    """Both must have answered the same question, or their times say nothing."""
    visitors, visits, pageviews, events, *_ = theirs["totals"]
    found: dict[str, Any] = {
        "totals": (visitors, visits, pageviews, events),
        "days": [count for _, count in theirs["days"]],
        **{name: [count for _, count in theirs[name]] for name in PANELS},
    }
    mine: dict[str, Any] = {**ours, "totals": tuple(ours["totals"][:4])}
    for name, value in found.items():
        if mine[name] != value:
            raise SystemExit(f"{where}: {name}: ours {mine[name]}, theirs {value}")


def _dimension(column: str) -> str:
    return DIMENSIONS.get(column, f"visit:{column}")


def _text(column: str, code: int) -> str:
    if column == "country":  # two letters
        return chr(65 + code // 26) + chr(65 + code % 26)
    return f"/page/{code}" if column == "path" else f"{column} {code}"


def write(path: Path, data: Dataset) -> None:
    """The dataset as the drain would have stored it."""
    migrate(path, path.parent)
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-200000; PRAGMA wal_autocheckpoint=100000;")
    database.execute("BEGIN")
    database.execute(
        "INSERT INTO project (id, public_id, name, created_at, updated_at) VALUES (?, 'perf', 'Perf', 1, 1)", (PROJECT,)
    )
    for column, count in {**VALUES, "path": PAGES}.items():
        texts = [(PROJECT, DICTIONARIES[column], code, _text(column, code)) for code in range(1, count + 1)]
        database.executemany("INSERT INTO dictionary VALUES (?, ?, ?, ?)", texts)
    names = [(PROJECT, DICTIONARIES["name"], 1, "pageview")]
    names += [(PROJECT, DICTIONARIES["name"], 1 + code, f"event {code}") for code in range(1, NAMES + 1)]
    database.executemany("INSERT INTO dictionary VALUES (?, ?, ?, ?)", names)
    visit = dict.fromkeys(ACQUISITION_FIELDS, 0) | {
        "project_id": PROJECT, "user": 0, "entry_hostname": 0, "exit_hostname": 0, "rate": 1_000_000,
    }  # fmt: skip
    event = dict.fromkeys(("flags", "source", "hostname", "title", "user"), 0) | {
        "project_id": PROJECT, "event_id": b"0123456789", "rate": 1_000_000,
    }  # fmt: skip
    salt = data.visit["salt_day"].astype(object)
    salt[data.visit["salt_day"] < 0] = None
    _insert(database, "visit", data.visit | {"salt_day": salt}, visit)
    stored = {name: values for name, values in data.event.items() if name != "visitor"}
    _insert(database, "event", stored | {"received": data.event["time"]}, event)
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def seal(path: Path) -> None:
    """Seal the days that are over, which here are all, and give back the room of their rows."""
    connection = WriteConnection(path)
    began = time.perf_counter()
    for _ in seal_settled(lambda work: connection.transaction(work, durable=False), now()):
        pass
    connection.settle("TRUNCATE")
    connection.close()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("VACUUM")
    database.close()
    print(f"sealed in {time.perf_counter() - began:.0f} s")


def _insert(
    database: sqlite3.Connection, name: str, columns: Mapping[str, Any], constants: Mapping[str, object]
) -> None:
    constants = {column: value for column, value in constants.items() if column not in columns}
    names = ", ".join(f'"{column}"' for column in (*columns, *constants))
    marks = ", ".join("?" * (len(columns) + len(constants)))
    fixed = tuple(constants.values())
    for low in range(0, len(columns["id"]), 100_000):
        rows = zip(*(values[low : low + 100_000].tolist() for values in columns.values()), strict=True)
        database.executemany(f"INSERT INTO {name} ({names}) VALUES ({marks})", (row + fixed for row in rows))


if __name__ == "__main__":
    main()
