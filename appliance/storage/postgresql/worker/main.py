"""The query worker: `python -m appliance.storage.postgresql.worker.main TEMP_DIRECTORY MEMORY_BYTES THREADS`.

It answers steps with rollups, in the snapshot of the session that answers the others; the URL of the database is in the
environment. A process of its own, so that the serving process has neither numpy nor DuckDB.
"""

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from psycopg import sql

from appliance.storage.evaluation import Answer, Plan, Rows, Step
from appliance.storage.location import DATABASE_VARIABLE
from appliance.storage.packing import Ints
from appliance.storage.postgresql.connection import work_connection
from appliance.storage.postgresql.worker.rest import Crossings, blobs, rest, stretches
from appliance.storage.units.merging import RolledUp
from appliance.storage.worker.duck import Prepared, fingerprint, open_duckdb, run_steps
from appliance.storage.worker.pipe import AskRolled, Question, Unit
from appliance.storage.worker.server import Cancelled, own_temp_directory, run
from appliance.storage.worker.texts import Texts

WIDTH: Final = 8  # bytes of a number, at most
_ALWAYS_READ: Final = ("id", "visitor", "start", "end", "visit_id")
ANSWERS_KEPT: Final = 512
ANSWER_ROWS_MAX: Final = 2_000
_OPTIONS: Final = "-c jit=off"

Connection = psycopg.Connection[Any]


class _Project:
    """What is kept of one project: merged rollups, dictionaries, and the DuckDB connection that sees them.

    Units do not change, and their ids are never used again; only what codes mean may (`generation`).
    """

    def __init__(self, duck: Any) -> None:
        self.duck = duck
        self.texts = Texts(duck)
        self.rolled = RolledUp()
        self.crossings = Crossings()
        self.answers: OrderedDict[tuple[bytes, tuple[int, ...]], list[Rows]] = OrderedDict()
        self._generation: object = None

    def follow(self, generation: object) -> None:
        """Drop everything when texts may have been taken out."""
        if generation != self._generation:
            self.texts.forget()
            self.rolled.forget()
            self.crossings.forget()
            self.answers.clear()
            self._generation = generation

    def keep(self, key: tuple[bytes, tuple[int, ...]], reports: list[Rows]) -> None:
        """Remember an answer of units alone."""
        if sum(map(len, reports)) <= ANSWER_ROWS_MAX:
            self.answers[key] = reports
            if len(self.answers) > ANSWERS_KEPT:
                self.answers.popitem(last=False)

    @property
    def nbytes(self) -> int:
        return self.rolled.nbytes + self.crossings.nbytes


class Worker:
    """Answers questions over the database at a URL."""

    def __init__(self, url: str, temp_directory: Path, memory_bytes: int, threads: int) -> None:
        """Half of the memory is for merged rollups and rows of all projects, half for DuckDB."""
        self._url = url
        self._array_bytes = memory_bytes // 2
        self._duck = open_duckdb(temp_directory, memory_bytes=memory_bytes // 2, threads=threads)
        self._connection: Connection | None = None
        self._projects: OrderedDict[int, _Project] = OrderedDict()
        self._asked_duck: Any = None
        self.cancelled = threading.Event()

    def interrupt(self) -> None:
        self.cancelled.set()
        if (connection := self._connection) is not None:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=1)
        if self._asked_duck is not None:
            self._asked_duck.interrupt()

    def answer(self, request: Question) -> Answer:
        assert isinstance(request, AskRolled)
        plan = request.plan
        project = self._project(plan.project_id)
        steps: list[Prepared] = []
        found: list[list[Rows] | None] = []
        keys = []
        with self._snapshot(request.snapshot) as connection:
            project.follow(_generation(connection))
            for step, units in zip(plan.steps, request.units, strict=True):
                key = (fingerprint(step), tuple([u.id for u in units]))
                keys.append(key)
                found.append(project.answers.get(key))
                if found[-1] is None:
                    self._check()
                    steps.append(self._prepared(connection, project, plan, step, units, request.purged))
            if steps:
                for number in plan.dictionaries:
                    project.texts.load(number, partial(_texts_after, connection, plan.project_id, number))
        self._asked_duck = project.duck
        try:
            counted = iter(run_steps(project.duck, steps, self._check))
        finally:
            self._asked_duck = None
            self._make_room()
        answer: Answer = []
        for step, units, key, kept in zip(plan.steps, request.units, keys, found, strict=True):
            answer.append(next(counted) if kept is None else kept)
            if kept is None and not list(stretches(_rest_span(step, request.purged), units)):
                project.keep(key, answer[-1])
        return answer

    def _prepared(
        self, connection: Connection, project: _Project, plan: Plan, step: Step, units: Sequence[Unit], purged: int
    ) -> Prepared:
        assert step.rolled is not None
        assert not step.code_sets, "what is filtered has no rollups"
        span = _rest_span(step, purged)
        crossing = project.crossings.of(connection, units)
        columns = len(plan.rest_visit) + len(plan.rest_event) + len(_ALWAYS_READ)
        rows_max = max(self._array_bytes // (2 * WIDTH * columns), 1)
        there = rest(connection, plan, span, units, crossing, rows_max)
        visitors = np.asarray(there.visit["visitor"], np.int64)
        tables = project.rolled.tables(partial(blobs, connection), units, step.rolled.names, visitors)
        shown = {**tables, "rest_visit": there.visit, "rest_event": there.event}
        return Prepared(step, {**step.parameters, **step.texts, "rest_from": span[0]}, partial(_show, project, shown))

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled

    @contextmanager
    def _snapshot(self, exported: str) -> Iterator[Connection]:
        """A transaction that sees what another session sees, which holds its own open meanwhile."""
        connection = self._connected()
        with connection.transaction():
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(exported)))
            yield connection

    def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None:
            try:
                connection.execute("SELECT 1")
            except psycopg.OperationalError:
                connection.close()  # it was cut off; the server may be back by now
        if connection is None or connection.closed:
            connection = self._connection = work_connection(self._url, _OPTIONS)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
        return connection

    def _project(self, project_id: int) -> _Project:
        project = self._projects.get(project_id)
        if project is None:
            project = self._projects[project_id] = _Project(self._duck.cursor())
        self._projects.move_to_end(project_id)
        return project

    def _make_room(self) -> None:
        """Forget projects and merged rollups, the least recently asked first."""
        while (
            len(self._projects) > 1 and sum(project.nbytes for project in self._projects.values()) > self._array_bytes
        ):
            _, project = self._projects.popitem(last=False)
            project.duck.close()
        for project in self._projects.values():
            project.rolled.shrink(self._array_bytes - project.crossings.nbytes)


def _show(project: _Project, tables: dict[str, dict[str, Ints]]) -> Iterator[None]:
    """Make these arrays what the statements of a step read."""
    for name, arrays in tables.items():
        project.duck.register(name, arrays)
    yield


def _rest_span(step: Step, purged: int) -> tuple[int, int]:
    """The range in which rows are counted beside units."""
    return max(step.start, purged), max(step.end, purged)


def _generation(connection: Connection) -> object:
    return connection.execute("SELECT m.value FROM meta m WHERE m.name = 'hot_generation'").fetchone()


def _texts_after(connection: Connection, project_id: int, number: int | str, code: int) -> list[tuple[int, str]]:
    select = (
        "SELECT d.code, d.text FROM dictionary d"
        " WHERE d.project_id = %s AND d.dimension = %s AND d.code > %s ORDER BY d.code"
    )
    return connection.execute(select, (project_id, number, code)).fetchall()


def main(arguments: list[str]) -> None:
    temp_directory, memory_bytes, threads = arguments
    url = os.environ.pop(DATABASE_VARIABLE)
    run(lambda: Worker(url, own_temp_directory(Path(temp_directory)), int(memory_bytes), int(threads)))


if __name__ == "__main__":
    main(sys.argv[1:])
