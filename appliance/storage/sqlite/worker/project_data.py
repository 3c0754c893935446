"""What the query worker keeps of one project: arrays, dictionaries, and the DuckDB connection that sees them."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from appliance.storage.dimensions import is_property
from appliance.storage.evaluation import BEGINNING, Plan, Step
from appliance.storage.sqlite.chunks.index import Chunk, chunks
from appliance.storage.sqlite.rollups.index import Unit, blobs, raw_purged_before, units
from appliance.storage.sqlite.worker.answers import Answers
from appliance.storage.sqlite.worker.dictionaries import Dictionaries
from appliance.storage.sqlite.worker.hot import HotRows, Ints, Marks
from appliance.storage.sqlite.worker.rolled import cover
from appliance.storage.sqlite.worker.sealed_columns import Key, SealedColumns
from appliance.storage.units.covering import check_purged
from appliance.storage.units.merging import Arrays, RolledUp

_OF_REST: Final = ("visitor", "start", "end", "salt_day")  # columns of visits that tell who is counted twice

# The rate stands here as the indexes have it (schema.sql), which hold sampled rows alone.
_SAMPLED: Final = """
    SELECT EXISTS (SELECT 1 FROM event e WHERE e.project_id = :project AND e.rate <> 1000000
                   AND e.time >= :start AND e.time < :end)
        OR EXISTS (SELECT 1 FROM visit v WHERE v.project_id = :project AND v.rate <> 1000000
                   AND v."end" >= :start AND v.start < :end)
    """

ROLLED_BYTES_MIN: Final = 16 << 20

# Columns of chunks are kept in the smallest type that holds their numbers: usually in so many bytes.
CODE_BYTES: Final = 2
_WIDTHS: Final = {
    **dict.fromkeys(("visitor", "start", "end", "time"), 8),
    **dict.fromkeys(("id", "visit_id", "engaged_ms", "revenue"), 4),
}

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
        self._rolled = RolledUp()
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

    def _decoded(
        self, connection: sqlite3.Connection, keys: Sequence[Key], span: tuple[int, int], nbytes_max: int, check: Check
    ) -> Iterator[dict[Key, Ints]]:
        """Columns of the chunks that touch [start, end), as many at a time as fit, and nothing of it is kept."""
        for part in _parted(self.sealed.touching(span), keys, nbytes_max):
            columns = SealedColumns(self.rows.properties)
            columns.follow(part)
            yield columns.arrays(connection, span, keys, check)

    def has_to_be_parted(self, plan: Plan, nbytes_max: int) -> bool:
        """Whether a plan reads so much of chunks that parts have to be evaluated, and can be."""
        asked = [step for step in plan.steps if step.rolled is None]
        if not asked or any(step.by_visit == 0 for step in asked):
            return False
        return _nbytes(self.sealed.touching((plan.start, plan.end)), _keys(plan.visit, plan.event)) > nbytes_max

    def load(
        self, connection: sqlite3.Connection, plan: Plan, check: Check, *, part_bytes: int | None = None
    ) -> list[Rest | None]:
        """Make `visit` and `event` what the plan asks about; gives for each step what `show` is to be given.

        In the snapshot that was followed. `part_bytes`: `parts` of that size are going to make them.
        """
        assert self._seen is not None
        self._units = units(connection, self._project_id)
        self._purged_before = raw_purged_before(connection, self._project_id)
        for step in plan.steps:
            check_purged(step.rolled, step.needed, self._units, self._purged_before)
        rolled = any(step.rolled is not None for step in plan.steps)
        rest_visit = (*plan.rest_visit, *_OF_REST) if rolled else ()
        self._refresh(connection, self._seen, (*plan.visit, *rest_visit), (*plan.event, *plan.rest_event))
        keys = _keys(plan.visit, plan.event)
        if part_bytes is not None:
            # What texts the properties have is asked before the first part is looked at.
            keys = [key for key in keys if is_property(key[1])]
            for _ in self._decoded(connection, keys, (plan.start, plan.end), part_bytes, check) if keys else ():
                pass
        elif keys:
            self._show("", keys, self.sealed.arrays(connection, (plan.start, plan.end), keys, check))
        keys = _keys(tuple(dict.fromkeys(rest_visit)), plan.rest_event)
        return [None if step.rolled is None else self._rest(connection, step, keys, check) for step in plan.steps]

    def show(self, rest: Rest | None) -> Iterator[None]:
        """Make the rollups of a step, and what they do not speak of, what its statements read."""
        if rest is not None:
            for name, arrays in rest.tables.items():
                self.duck.register(name, arrays)
            self._show("rest_", rest.keys, rest.sealed)
        yield

    def parts(
        self, connection: sqlite3.Connection, plan: Plan, step: Step, part_bytes: int, check: Check
    ) -> Iterator[None]:
        """Make `visit` and `event` parts of what a step looks at, one after the other: as many chunks as fit into so
        many bytes each time, last what is hot. The snapshot stays open meanwhile."""
        keys = _keys(plan.visit, plan.event)
        for arrays in self._decoded(connection, keys, (step.start, step.end), part_bytes, check):
            self._show("", keys, arrays, hot=False)
            del arrays
            yield
            for table in ("visit", "event"):
                self.duck.unregister(f"sealed_{table}")  # so that never two parts are in memory
        self._show("", keys, {})
        yield

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
        visitors = np.concatenate(touching)
        tables = self._rolled.tables(partial(blobs, connection), covered.units, asked.names, visitors)
        return Rest(tables, max(step.start, self._purged_before), keys, sealed)

    def _show(self, prefix: str, keys: Sequence[Key], sealed: Mapping[Key, Ints], *, hot: bool = True) -> None:
        """Make `<prefix>visit` and `<prefix>event` these columns of chunks, and the rows."""
        for table in dict.fromkeys(table for table, _ in keys):
            names = [name for of, name in keys if of == table]
            columns = ", ".join(f'r."{name}"' for name in names)
            # Without the rows, their types all the same: those of columns of chunks differ from part to part.
            sources = [f"hot_{table}" if hot else f"(SELECT * FROM hot_{table} LIMIT 0)"]
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


def _nbytes(there: Iterable[Chunk], keys: Sequence[Key]) -> int:
    """About how many bytes these columns of chunks take in memory."""
    of_visit, of_event = (
        sum(_WIDTHS.get(name, CODE_BYTES) for of, name in keys if of == table) for table in ("visit", "event")
    )
    return sum(chunk.visits * of_visit + chunk.events * of_event for chunk in there)


def _parted(there: Iterable[Chunk], keys: Sequence[Key], nbytes_max: int) -> Iterator[list[Chunk]]:
    """Chunks in their order, each time as many as fit; one at least."""
    part: list[Chunk] = []
    nbytes = 0
    for chunk in there:
        more = _nbytes([chunk], keys)
        if part and nbytes + more > nbytes_max:
            yield part
            part, nbytes = [], 0
        part.append(chunk)
        nbytes += more
    if part:
        yield part


def _touching(span: tuple[int, int], visitors: Ints, starts: Ints, ends: Ints) -> Ints:
    """The visitors of visits that touch the range."""
    return np.asarray(visitors[(starts < span[1]) & (ends >= span[0])], np.int64)
