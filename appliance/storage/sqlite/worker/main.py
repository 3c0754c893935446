"""The query worker: `python -m appliance.storage.sqlite.worker.main DATABASE TEMP_DIRECTORY MEMORY_BYTES THREADS`.

A process of its own, so that reports neither slow ingestion nor leave their memory in the serving process. It reads
requests from stdin and writes replies to stdout (pipe.py), one question at a time, opens the database read-only, and
ends when its stdin closes, whatever it is doing then.
"""

import os
import queue
import shutil
import signal
import sqlite3
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import msgspec

from appliance.errors import ChunkDamaged, Invalid, RawPurged
from appliance.storage.evaluation import Answer, Plan, SampledData
from appliance.storage.sqlite.rollups.index import units
from appliance.storage.sqlite.worker.duck import Parameters, Prepared, open_duckdb, run_steps
from appliance.storage.sqlite.worker.pipe import Ask, AskFirstEvent, Cancel, Done, Failed, Request, frame, read_frame
from appliance.storage.sqlite.worker.project_data import ProjectData

DUCKDB_BYTES_MIN = 128 << 20  # with 64 MB a wide question over sampled data may fail, however few rows there are
SQLITE_CACHE_KB = 8_192
SQLITE_MMAP_BYTES = 1 << 30
NICENESS = 5  # ingestion goes first


class Cancelled(Exception):
    """Nobody waits for this answer any more."""


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
        self._duck = open_duckdb(temp_directory, memory_bytes=max(memory_bytes // 2, DUCKDB_BYTES_MIN), threads=threads)
        self._projects: OrderedDict[int, ProjectData] = OrderedDict()
        self._asked_duck: Any = None
        self.cancelled = threading.Event()

    def interrupt(self) -> None:
        """Stop the question that is being answered; called from another thread."""
        self.cancelled.set()
        self._sqlite.interrupt()
        if self._asked_duck is not None:
            self._asked_duck.interrupt()

    def ask(self, plan: Plan) -> Answer:
        project = self._project(plan.project_id)
        asked = [blake2b(msgspec.msgpack.encode(step), digest_size=20).digest() for step in plan.steps]
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


class Server:
    """Reads requests in a thread of its own, so that a cancellation is seen while a question is answered."""

    def __init__(self, worker: Worker, requests: BinaryIO, replies: BinaryIO) -> None:
        self._worker = worker
        self._requests = requests
        self._replies = replies
        self._waiting: queue.SimpleQueue[Ask | AskFirstEvent] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued: set[int] = set()
        self._current = 0

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while True:
            request = self._waiting.get()
            with self._lock:
                if request.id not in self._queued:
                    continue  # cancelled, and answered so
                self._queued.discard(request.id)
                self._current = request.id
                self._worker.cancelled.clear()
            reply = self._answer(request)
            with self._lock:
                self._current = 0
                self._send(reply)

    def _listen(self) -> None:
        try:
            self._receive()
        except BaseException:
            traceback.print_exc()  # a request that cannot be understood
            os._exit(1)
        os._exit(0)  # the asker is gone

    def _receive(self) -> None:
        decoder = msgspec.msgpack.Decoder(Request)
        while (body := read_frame(self._requests)) is not None:
            request = decoder.decode(body)
            if not isinstance(request, Cancel):
                with self._lock:
                    self._queued.add(request.id)
                self._waiting.put(request)
                continue
            with self._lock:
                if request.id == self._current:
                    self._worker.interrupt()
                else:  # queued, or answered already, or never sent: it is dropped in any case
                    self._queued.discard(request.id)
                    self._send(Failed(request.id, "cancelled"))

    def _answer(self, request: Ask | AskFirstEvent) -> Done | Failed:
        try:
            if isinstance(request, Ask):
                result: Any = self._worker.ask(request.plan)
            else:
                result = self._worker.first_event(request.project_id)
            return Done(request.id, msgspec.Raw(msgspec.msgpack.encode(result)))
        except RawPurged as error:
            return Failed(request.id, "purged", str(error))
        except Invalid as error:
            return Failed(request.id, "invalid", str(error))
        except SampledData:
            return Failed(request.id, "sampled")
        except ChunkDamaged as error:
            return Failed(request.id, "damaged", str(error))
        except Exception as error:
            if self._worker.cancelled.is_set():
                return Failed(request.id, "cancelled")
            return Failed(request.id, "unavailable", f"{type(error).__name__}: {error}")

    def _send(self, reply: Done | Failed) -> None:
        self._replies.write(frame(reply))
        self._replies.flush()


def own_temp_directory(parent: Path) -> Path:
    """A folder for this process; those of workers that were killed are removed."""
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob("query-*"):
        if not _is_running(old.name.removeprefix("query-")):
            shutil.rmtree(old, ignore_errors=True)
    return parent / f"query-{os.getpid()}"


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def main(arguments: list[str]) -> None:
    database, temp_directory, memory_bytes, threads = arguments
    # The terminal's Ctrl-C reaches the whole group; only the serving process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    # Nothing but replies may reach the pipe, whatever a library prints.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    temp = own_temp_directory(Path(temp_directory))
    worker = Worker(Path(database), temp, int(memory_bytes), int(threads))
    Server(worker, sys.stdin.buffer, replies).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
