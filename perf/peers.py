"""The databases beside which questions are measured, on the same events and with the same tuning: integer codes, a
filter evaluated once into a temporary table, everything else over that."""

import importlib
import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from perf.dataset import DAY, START, VALUES, Dataset, Ints

ROWS = 9
# What the panels group visitors by; a page is an event's, the others are the visit's.
PANELS = ("path", *VALUES)
Answer = dict[str, Any]  # totals, days, and per panel its first rows as (code, visitors)


class Question(NamedTuple):
    """A range (UTC microseconds), and dictionary codes to filter by."""

    name: str
    start: int
    end: int
    filters: Mapping[str, int]


class Peer(ABC):
    """A database that holds the events."""

    name = ""
    temporary = "CREATE OR REPLACE TEMP TABLE {} AS "

    @abstractmethod
    def rows(self, sql: str) -> list[tuple[int, ...]]:
        """Ask."""

    @abstractmethod
    def execute(self, sql: str) -> None:
        """Do."""

    def dashboard(self, question: Question) -> tuple[Answer, float]:
        """Totals, visitors by day, and the panels; with the seconds it took."""
        began = time.perf_counter()
        of_visit = [f"{name} = {value}" for name, value in question.filters.items() if name != "path"]
        of_event = [f"path = {value}" for name, value in question.filters.items() if name == "path"]
        inside = f"time >= {question.start} AND time < {question.end}"
        started = f"start >= {question.start} AND start < {question.end}"
        event, visit = "event", "visit"
        where, where_visit = f" WHERE {inside}", f" WHERE {started}"
        if question.filters:
            event, visit = "hit", "kept"
            self.execute(f"{self._make(event)}SELECT * FROM event WHERE {' AND '.join([inside, *of_visit, *of_event])}")
            if of_event:
                of_visit.append("id IN (SELECT visit_id FROM hit)")
            self.execute(f"{self._make(visit)}SELECT * FROM visit WHERE {' AND '.join([started, *of_visit])}")
            where = where_visit = ""
        ((visitors, events, pageviews),) = self.rows(
            f"SELECT count(DISTINCT visitor), count(*), sum(CASE WHEN kind = 0 THEN 1 ELSE 0 END) FROM {event}{where}"
        )
        ((visits, bounces, duration, viewed),) = self.rows(
            "SELECT count(*), sum(CASE WHEN pageviews = 1 AND interactive = 0 THEN 1 ELSE 0 END),"
            f' sum("end" - start), sum(pageviews) FROM {visit}{where_visit}'
        )
        bucket = self.quotient(f"(time - {START})", str(DAY))
        answer: Answer = {
            "totals": (visitors, visits, pageviews, events, bounces, duration, viewed),
            "days": self.rows(
                f"SELECT {bucket} AS day, count(DISTINCT visitor) FROM {event}{where} GROUP BY day ORDER BY day"
            ),
        }
        for panel in PANELS:
            answer[panel] = self.rows(
                f"SELECT {panel}, count(DISTINCT visitor) AS n FROM {event}{where}"
                f" GROUP BY {panel} ORDER BY n DESC, {panel} LIMIT {ROWS}"
            )
        return answer, time.perf_counter() - began

    def quotient(self, dividend: str, divisor: str) -> str:
        return f"{dividend} // {divisor}"

    def _make(self, table: str) -> str:
        return self.temporary.format(table)


def events_with_visits(data: Dataset) -> dict[str, Ints]:
    """Events with the values of their visits beside, as a column store wants them."""
    places = data.event["visit_id"] - 1
    columns = {name: data.event[name] for name in ("visit_id", "visitor", "time", "kind", "name", "path")}
    return columns | {name: data.visit[name][places] for name in VALUES}


class DuckFile(Peer):
    """DuckDB with a file of its own."""

    name = "DuckDB"

    def __init__(self, folder: Path, data: Dataset) -> None:
        self._connection = duckdb.connect(str(folder / "peer.duckdb"))
        for table, columns in (("visit", data.visit), ("event", events_with_visits(data))):
            self._connection.register("arrays", {name: _narrow(name, values) for name, values in columns.items()})
            order = "start" if table == "visit" else "time"
            self._connection.execute(f"CREATE TABLE {table} AS SELECT * FROM arrays ORDER BY {order}")
            self._connection.unregister("arrays")
        self._connection.execute("CHECKPOINT")

    def rows(self, sql: str) -> list[tuple[int, ...]]:
        return self._connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        self._connection.execute(sql)


class ClickHouse(Peer):
    """Embedded ClickHouse (chDB), MergeTree ordered by time."""

    name = "chDB"
    temporary = "CREATE OR REPLACE TABLE {} ENGINE = Memory AS "

    def __init__(self, folder: Path, data: Dataset) -> None:
        session = importlib.import_module("chdb.session")  # not among our dependencies

        self._session: Any = session.Session(str(folder / "chdb"))
        self.execute("CREATE DATABASE IF NOT EXISTS peer ENGINE = Atomic")
        self.execute("USE peer")
        for table, columns in (("visit", data.visit), ("event", events_with_visits(data))):
            path = folder / f"{table}.parquet"
            duck = duckdb.connect()
            duck.register("arrays", {name: _narrow(name, values) for name, values in columns.items()})
            duck.execute(f"COPY (SELECT * FROM arrays) TO '{path}' (FORMAT parquet)")
            duck.close()
            order = "start" if table == "visit" else "time"
            self.execute(
                f"CREATE TABLE {table} ENGINE = MergeTree ORDER BY {order}"
                f" AS SELECT * FROM file('{path}', Parquet) SETTINGS schema_inference_make_columns_nullable = 0"
            )
            self.execute(f"OPTIMIZE TABLE {table} FINAL")
            path.unlink()

    def rows(self, sql: str) -> list[tuple[int, ...]]:
        text = str(self._session.query(sql, "TSV"))
        return [tuple(map(int, line.split("\t"))) for line in text.splitlines()]

    def execute(self, sql: str) -> None:
        self._session.query(sql)

    def quotient(self, dividend: str, divisor: str) -> str:
        return f"intDiv({dividend}, {divisor})"


def _narrow(name: str, values: Ints) -> Any:
    """Codes and counts in as few bytes as they need."""
    if name in ("visitor", "time", "start", "end", "id", "visit_id"):
        return values
    return values.astype("uint8" if values.max() < 256 and values.min() >= 0 else "int32")


@contextmanager
def peers(folder: Path, data: Dataset) -> Iterator[list[Peer]]:
    """Those that are installed."""
    found: list[Peer] = [DuckFile(folder, data)]
    if importlib.util.find_spec("chdb") is not None:
        found.append(ClickHouse(folder, data))
    yield found
