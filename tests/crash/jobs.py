"""Jobs that are broken off at a chosen statement. `python -m tests.crash.jobs DATABASE JOB STATEMENT` dies there by
SIGKILL, right before SQLite runs that statement."""

import os
import re
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from appliance.clock import DAY
from appliance.storage.sqlite.chunks.seal import SETTLED_AFTER, seal_settled
from appliance.storage.sqlite.removal.erase import erase_all
from appliance.storage.sqlite.removal.purge import purge
from appliance.storage.sqlite.removal.wipe import delete_securely, wipe_free_pages
from appliance.storage.sqlite.stored import count_stored, stored_rows
from appliance.storage.sqlite.writer import WriteConnection, connect
from tests.builders import START, at

T = TypeVar("T")
Transact = Callable[[Callable[[Any], T]], T]
State = dict[str, list[Any]]

SEALED_AT = START + 6 * DAY + SETTLED_AFTER  # when every day of the worlds is due
PURGED_BEFORE = at(2000)


def seal(transact: Any) -> Iterator[object]:
    return iter(seal_settled(transact, SEALED_AT))


def erase(transact: Any) -> Iterator[object]:
    transact(delete_securely)
    yield from erase_all(transact)
    yield from wipe_free_pages(transact)


def purged(transact: Any) -> Iterator[object]:
    return purge(transact, 1, PURGED_BEFORE)


JOBS: dict[str, Callable[[Any], Iterator[object]]] = {"seal": seal, "erase": erase, "purge": purged}


def run(path: Path, job: str) -> None:
    """From start to end."""
    with closing(WriteConnection(path)) as connection:
        for _ in JOBS[job](lambda work: connection.transaction(work, durable=False)):
            pass


class BrokenOff(Exception):
    """The job ends here."""


def run_until(path: Path, job: str, point: int) -> bool:
    """Break a job off at that point: before a statement, before a commit, or after one. False: it came to its end."""
    breaking = _Breaking(path, point)
    try:
        for _ in JOBS[job](breaking.transact):
            pass
    except BrokenOff:
        return True
    finally:
        breaking.writer.close()
    return False


class _Breaking:
    """Stands between a job and its connection."""

    def __init__(self, path: Path, point: int) -> None:
        self.writer = WriteConnection(path)
        self._left = point

    def transact(self, work: Callable[[Any], T]) -> T:
        def broken(connection: sqlite3.Connection) -> T:
            self._connection = connection
            result = work(self)
            self._pass()
            return result

        result = self.writer.transaction(broken, durable=False)
        self._pass()
        return result

    def execute(self, *statement: Any) -> sqlite3.Cursor:
        self._pass()
        return self._connection.execute(*statement)

    def executemany(self, *statement: Any) -> sqlite3.Cursor:
        self._pass()
        return self._connection.executemany(*statement)

    def _pass(self) -> None:
        if not self._left:
            raise BrokenOff
        self._left -= 1


def state(path: Path) -> State:
    """What is stored, whichever way."""
    found: State = {}
    for table in ("visit", "event"):
        select = f"SELECT r.* FROM {table} r WHERE r.project_id = :project_id ORDER BY r.id"
        for project in (1, 2):
            with closing(connect(path, read_only=True)) as connection:
                rows = [row for batch in stored_rows(connection, select, project, 0, 1 << 62, 100) for row in batch]
                found[f"{table} {project}"] = sorted(rows)
    with closing(connect(path, read_only=True)) as connection:
        for table in ("alias", "seen", "user_trait", "dead_letter", "source", "blank"):
            found[table] = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        found["erasure"] = connection.execute("SELECT id, users, visitors, visits, events FROM erasure").fetchall()
        found["dictionary"] = [
            (*key, re.sub("^erased [0-9a-f]{16}$", "erased", text))
            for *key, text in connection.execute("SELECT * FROM dictionary ORDER BY 1, 2, 3")
        ]
        found["project"] = connection.execute("SELECT id, raw_purged_before FROM project").fetchall()
        connection.execute("BEGIN")
        found["counts"] = [count_stored(connection, project) for project in (1, 2)]
    return found


def main(arguments: list[str]) -> None:
    path, job, statement = arguments
    left = int(statement)

    def die(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    writer = WriteConnection(Path(path))
    writer._connection.set_trace_callback(die)
    for _ in JOBS[job](lambda work: writer.transaction(work, durable=False)):
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
