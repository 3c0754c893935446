"""The query worker: `python -m appliance.storage.sqlite.worker.main DATABASE TEMP_DIRECTORY MEMORY_BYTES THREADS`.

A process of its own, so that reports neither slow ingestion nor leave their memory in the serving process. It reads
requests from stdin and writes replies to stdout (pipe.py), one question at a time, opens the database read-only, and
ends when its stdin closes, whatever it is doing then.
"""

import sqlite3
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from appliance.storage.evaluation import Answer, Plan, SampledData
from appliance.storage.sqlite.rollups.index import units
from appliance.storage.sqlite.worker.project_data import ProjectData
from appliance.storage.worker.duck import Parameters, Prepared, fingerprint, open_duckdb, run_steps
from appliance.storage.worker.pipe import Ask, AskFirstEvent, Question
from appliance.storage.worker.server import Cancelled, own_temp_directory, run

SQLITE_CACHE_KB = 8_192
SQLITE_MMAP_BYTES = 1 << 30


class Worker:
    """Answers questions over one database file."""

    def __init__(self, database: Path, temp_directory: Path, memory_bytes: int, threads: int) -> None:
        """Half of the memory is for columns and merged rollups of all projects, half for DuckDB."""
        self._array_bytes = memory_bytes // 2
        self._sqlite = sqlite3.connect(
            f"file:{quote(str(database))}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        self._sqlite.execute("PRAGMA query_only = 1")
        self._sqlite.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KB}")
        self._sqlite.execute(f"PRAGMA mmap_size = {SQLITE_MMAP_BYTES}")
        self._duck = open_duckdb(temp_directory, memory_bytes=memory_bytes // 2, threads=threads)
        self._projects: OrderedDict[int, ProjectData] = OrderedDict()
        self._asked_duck: Any = None
        self.cancelled = threading.Event()

    def interrupt(self) -> None:
        """Stop the question that is being answered; called from another thread."""
        self.cancelled.set()
        self._sqlite.interrupt()
        if self._asked_duck is not None:
            self._asked_duck.interrupt()

    def answer(self, request: Question) -> Any:
        if isinstance(request, Ask):
            return self.ask(request.plan)
        assert isinstance(request, AskFirstEvent)
        return self.first_event(request.project_id)

    def ask(self, plan: Plan) -> Answer:
        project = self._project(plan.project_id)
        asked = [fingerprint(step) for step in plan.steps]
        steps: list[Prepared] = []
        with ExitStack() as snapshot:
            connection = snapshot.enter_context(self._snapshot())
            project.rows.properties.declare(plan.properties)
            project.follow(connection)
            if not plan.weighted and any(project.is_sampled(connection, step.start, step.end) for step in plan.steps):
                raise SampledData
            kept = {key: project.answers.find(key) for key in asked}
            if None in kept.values():
                open_steps = [step for step, key in zip(plan.steps, asked, strict=True) if kept[key] is None]
                steps = self._prepared(connection, project, msgspec.structs.replace(plan, steps=tuple(open_steps)))
            if not any(step.in_parts for step in steps):
                # The arrays are the snapshot: the transaction need not stay open, which would hold up WAL checkpoints.
                snapshot.close()
            self._asked_duck = project.duck
            try:
                found = iter(run_steps(project.duck, steps, self._check))
            finally:
                self._asked_duck = None
                self._make_room(self._array_bytes)
        answer: Answer = []
        for step, key in zip(plan.steps, asked, strict=True):
            reports = kept[key]
            if reports is None:
                reports = next(found)
                project.answers.keep(key, (step.start, step.end), reports)
            answer.append(reports)
        return answer

    def _prepared(self, connection: sqlite3.Connection, project: ProjectData, plan: Plan) -> list[Prepared]:
        """The plan's steps, with all that they read in memory."""
        part_bytes = self._array_bytes // 2 if project.has_to_be_parted(plan, self._array_bytes) else None
        if part_bytes is not None:
            self._make_room(part_bytes)
        rests = project.load(connection, plan, self._check, part_bytes=part_bytes)
        project.dictionaries.load(connection, plan.dictionaries)
        steps = []
        for step, rest in zip(plan.steps, rests, strict=True):
            self._check()
            sets = {k: project.dictionaries.resolve(connection, v) for k, v in step.code_sets.items()}
            values: Parameters = {**step.parameters, **step.texts, **sets}
            if rest is not None:
                values["rest_from"] = rest.rest_from
            if part_bytes is not None and rest is None:
                parts = partial(project.parts, connection, plan, step, part_bytes, self._check)
                steps.append(Prepared(step, values, parts, in_parts=True))
            else:
                steps.append(Prepared(step, values, partial(project.show, rest)))
        return steps

    def first_event(self, project_id: int) -> int | None:
        project = self._project(project_id)
        with self._snapshot() as connection:
            project.follow(connection)
            days = [unit.start for unit in units(connection, project_id) if unit.final]
        times = project.rows.events["time"]
        firsts = [project.sealed.first_start, int(times.min()) if len(times) else None, *days]
        return min((first for first in firsts if first is not None), default=None)

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        try:
            self._sqlite.execute("BEGIN")
            yield self._sqlite
        finally:
            # An interruption may hit this very statement; it stops one at most.
            with suppress(sqlite3.OperationalError):
                self._sqlite.rollback()
            self._sqlite.rollback()

    def _project(self, project_id: int) -> ProjectData:
        project = self._projects.get(project_id)
        if project is None:
            project = self._projects[project_id] = ProjectData(project_id, self._duck.cursor())
        self._projects.move_to_end(project_id)
        return project

    def _make_room(self, nbytes_max: int) -> None:
        """Forget projects and columns, the least recently asked first."""
        while len(self._projects) > 1 and self._bytes() > nbytes_max:
            _, project = self._projects.popitem(last=False)
            project.duck.close()
        for project in self._projects.values():
            project.shrink(nbytes_max - project.rows.nbytes)

    def _bytes(self) -> int:
        return sum(project.nbytes for project in self._projects.values())


def main(arguments: list[str]) -> None:
    database, temp_directory, memory_bytes, threads = arguments
    run(lambda: Worker(Path(database), own_temp_directory(Path(temp_directory)), int(memory_bytes), int(threads)))


if __name__ == "__main__":
    main(sys.argv[1:])
