"""What the query worker keeps of one project: arrays, dictionaries, and the DuckDB connection that sees them."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from appliance.storage.evaluation import BEGINNING, Plan, Step
from appliance.storage.sqlite.chunks.index import Chunk, chunks
from appliance.storage.sqlite.rollups.index import Unit, raw_purged_before
from appliance.storage.sqlite.worker.answers import Answers
from appliance.storage.sqlite.worker.dictionaries import Dictionaries
from appliance.storage.sqlite.worker.hot import HotRows, Ints, Marks
from appliance.storage.sqlite.worker.rolled import Arrays, RolledUp, check_purged, cover
from appliance.storage.sqlite.worker.sealed_columns import Key, SealedColumns

_OF_REST: Final = ("visitor", "start", "end", "salt_day")  # columns of visits that tell who is counted twice

# The rate stands here as the indexes have it (schema.sql), which hold sampled rows alone.
_SAMPLED: Final = """
    SELECT EXISTS (SELECT 1 FROM event e WHERE e.project_id = :project AND e.rate <> 1000000
                   AND e.time >= :start AND e.time < :end)
        OR EXISTS (SELECT 1 FROM visit v WHERE v.project_id = :project AND v.rate <> 1000000
                   AND v."end" >= :start AND v.start < :end)
    """

ROLLED_BYTES_MIN: Final = 16 << 20

Check = Callable[[], None]  # called between steps of work; may raise


class Rest(NamedTuple):
    """What a step with rollups reads: tables made of them, and sealed columns of what they do not speak of."""

    tables: Mapping[str, Arrays]
    rest_from: int  # UTC microseconds
    keys: list[Key]
    sealed: Mapping[Key, Ints]


class ProjectData:
    """Brings what is kept to a snapshot, and lets DuckDB see it under the names that a plan uses."""

    def __init__(self, project_id: int, duck: Any) -> None:
        self.duck = duck
        self.rows = HotRows(project_id)
        self.dictionaries = Dictionaries(project_id, duck, self.rows.properties)
        self.sealed = SealedColumns(self.rows.properties)
        self._apart = SealedColumns(self.rows.properties)  # of the chunks that no rollup speaks for
        self._rolled = RolledUp(project_id)
        self._project_id = project_id
        self._seen: Marks | None = None
        self._chunks: list[Chunk] = []
        self._units: list[Unit] = []
        self._purged_before = BEGINNING
        self._views: dict[str, str] = {}  # as they were made last
        self.answers = Answers()

    def follow(self, connection: sqlite3.Connection) -> None:
        """Bring the rows and the list of chunks to the snapshot that is open."""
        marks = Marks.read(connection, self._project_id)
        if self._seen is None or not marks.follow(self._seen):
            if self._seen is not None:
                self.rows.reset()
                if not marks.same_codes(self._seen):
                    self.dictionaries.forget()
                    self.sealed.forget()
                    self._apart.forget()
                    self._rolled.forget()
            self.answers.forget()
            self._chunks = chunks(connection, "c.project_id = ?", (self._project_id,))
            self.sealed.follow(self._chunks)
        self._seen = marks
        self._refresh(connection, marks, (), ())
        if self.rows.changed is not None:
            self.answers.note(self.rows.changed)

    def _refresh(
        self, connection: sqlite3.Connection, marks: Marks, visit: Sequence[str], event: Sequence[str]
    ) -> None:
        """Bring the rows, with at least these columns, to the marks of the snapshot that is open."""
        if self.rows.refresh(connection, marks, visit, event):
            for name, table in (("visit", self.rows.visits), ("event", self.rows.events)):
                if table.columns:
                    self.duck.register(f"hot_{name}", table.arrays())

    def is_sampled(self, connection: sqlite3.Connection, start: int, end: int) -> bool:
        """Whether sampled data touch [start, end), in the snapshot that was followed and is open; of what is sealed,
        whether the chunks that touch it have any. No column is decoded for it."""
        if any(chunk.sampled and chunk.start < end and chunk.end >= start for chunk in self._chunks):
            return True
        found = connection.execute(_SAMPLED, {"project": self._project_id, "start": start, "end": end}).fetchone()
        return bool(found[0])

    def load(self, connection: sqlite3.Connection, plan: Plan, check: Check) -> list[Rest | None]:
        """Make `visit` and `event` what the plan asks about; gives for each step what `show` is to be given.

        In the snapshot that was followed.
        """
        assert self._seen is not None
        self._units = self._rolled.units(connection)
        self._purged_before = raw_purged_before(connection, self._project_id)
        for step in plan.steps:
            check_purged(step.rolled, (step.start, step.end), self._units, self._purged_before)
        rolled = any(step.rolled is not None for step in plan.steps)
        rest_visit = (*plan.rest_visit, *_OF_REST) if rolled else ()
        self._refresh(connection, self._seen, (*plan.visit, *rest_visit), (*plan.event, *plan.rest_event))
        keys = _keys(plan.visit, plan.event)
        if keys:
            self._show("", keys, self.sealed.arrays(connection, (plan.start, plan.end), keys, check))
        keys = _keys(tuple(dict.fromkeys(rest_visit)), plan.rest_event)
        return [None if step.rolled is None else self._rest(connection, step, keys, check) for step in plan.steps]

    def show(self, rest: Rest | None) -> None:
        """Make the rollups of a step, and what they do not speak of, what its statements read."""
        if rest is not None:
            for name, arrays in rest.tables.items():
                self.duck.register(name, arrays)
            self._show("rest_", rest.keys, rest.sealed)

    def shrink(self, nbytes_max: int) -> None:
        """Drop columns of chunks and merged rollups, those that were not asked for longest first."""
        # Merged rollups are soonest made again, columns of all chunks slowest.
        self._rolled.shrink(max(nbytes_max - self.sealed.nbytes - self._apart.nbytes, ROLLED_BYTES_MIN))
        dropped = self._apart.shrink(max(nbytes_max - self.sealed.nbytes - self._rolled.nbytes, 0))
        dropped = self.sealed.shrink(nbytes_max - self._apart.nbytes - self._rolled.nbytes) or dropped
        if dropped:
            for view in self._views:
                # What is registered would be kept; the next question makes the view anew.
                self.duck.execute(f"DROP VIEW {view}")
                self.duck.unregister(f"sealed_{view}")
            self._views.clear()

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes + self.sealed.nbytes + self._apart.nbytes + self._rolled.nbytes

    def _rest(self, connection: sqlite3.Connection, step: Step, keys: list[Key], check: Check) -> Rest:
        asked, visits, span = step.rolled, self.rows.visits, (step.start, step.end)
        assert asked is not None
        covered = cover(connection, asked, span, self._units, self._chunks, visits["salt_day"], self._purged_before)
        columns = self.sealed
        if covered.units:
            columns = self._apart
            columns.follow([chunk for chunk in self._chunks if chunk.id not in covered.chunks])
        sealed = columns.arrays(connection, span, keys, check)
        touching = [_touching(span, *(visits[name] for name in ("visitor", "start", "end")))]
        if sealed:
            touching.append(_touching(span, *(sealed["visit", name] for name in ("visitor", "start", "end"))))
        tables = self._rolled.tables(connection, covered, asked.names, np.concatenate(touching))
        return Rest(tables, max(step.start, self._purged_before), keys, sealed)

    def _show(self, prefix: str, keys: Sequence[Key], sealed: Mapping[Key, Ints]) -> None:
        """Make `<prefix>visit` and `<prefix>event` the rows and these columns of chunks."""
        for table in dict.fromkeys(table for table, _ in keys):
            names = [name for of, name in keys if of == table]
            columns = ", ".join(f'r."{name}"' for name in names)
            sources = [f"hot_{table}"]
            view = f"{prefix}{table}"
            if sealed:
                self.duck.register(f"sealed_{view}", {name: sealed[table, name] for name in names})
                sources.append(f"sealed_{view}")
            text = " UNION ALL ".join(f"SELECT {columns} FROM {source} r" for source in sources)
            if self._views.get(view) != text:
                self.duck.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {text}")
                self._views[view] = text
            if not sealed:
                self.duck.unregister(f"sealed_{view}")  # it would keep arrays that are replaced meanwhile


def _keys(visit: Sequence[str], event: Sequence[str]) -> list[Key]:
    return [("visit", name) for name in visit] + [("event", name) for name in event]


def _touching(span: tuple[int, int], visitors: Ints, starts: Ints, ends: Ints) -> Ints:
    """The visitors of visits that touch the range."""
    return np.asarray(visitors[(starts < span[1]) & (ends >= span[0])], np.int64)
