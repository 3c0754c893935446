"""The ledger of imports: which files were read up to where, and what became of their lines.

A file is known by its content: by a digest of its first bytes, which is looked up, and by a digest of everything up to
the position that was reached, which is compared. The position moves in the transaction that stores what was read, so
nothing of a file is ever taken twice, whenever it comes again, under whatever name and however compressed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, TypeVar
from uuid import uuid4

import msgspec

from appliance.clock import DAY, MICROSECONDS
from appliance.errors import Invalid, NotFound
from appliance.model import Visit
from appliance.storage import audit
from appliance.storage.interface import Database, DrainTransaction, Row

T = TypeVar("T")
State = Literal["waiting", "running", "done", "stopped", "failed"]

HEAD_BYTES: Final = 1024
DIGEST_BYTES: Final = 16
FAULTS_KEPT: Final = 100
NAME_CHARACTERS_MAX: Final = 255
ACTIVE: Final = ("waiting", "running")
_STEP_ROWS: Final = 5000
PORTION: Final = 100  # of rows in one statement


class Fault(msgspec.Struct, array_like=True, gc=False):
    """A line that was refused: its number, a stable code, and why. What the line says stays out: it may name people."""

    line: int
    code: str
    message: str


class Counts(msgspec.Struct, omit_defaults=True):
    """What became of so many lines: `stored` events, and `figures`, lines that say what a day added up to
    (imported_figures.py). `dropped` by reason; `faults` are the first that were refused; `first` and `last` are the
    times of the earliest and latest event taken (UTC microseconds)."""

    lines: int = 0
    stored: int = 0
    figures: int = 0
    duplicates: int = 0
    dropped: dict[str, int] = {}
    refused: int = 0
    faults: list[Fault] = []
    first: int | None = None
    last: int | None = None

    def add(self, other: "Counts") -> None:
        """Take in what became of the lines behind."""
        self.lines += other.lines
        self.stored += other.stored
        self.figures += other.figures
        self.duplicates += other.duplicates
        for reason, number in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + number
        self.refused += other.refused
        self.faults += other.faults[: max(0, FAULTS_KEPT - len(self.faults))]
        self.first = min((time for time in (self.first, other.first) if time is not None), default=None)
        self.last = max((time for time in (self.last, other.last) if time is not None), default=None)


class Import(NamedTuple):
    """A row of the ledger. `position` and `line` are where reading goes on; `bytes_read` of `bytes_total` is how far
    that is in the file as it lies there. `honoured`: visits and visitors are taken as the file says."""

    id: str
    project_id: int
    name: str
    format: str
    source: str
    honoured: bool
    head: bytes
    head_bytes: int
    position: int
    line: int
    digest: bytes
    bytes_read: int
    bytes_total: int
    counts: Counts
    state: State
    error: str
    actor: str
    created_at: int
    updated_at: int
    ended_at: int | None


class Step(msgspec.Struct, array_like=True, gc=False):
    """What one transaction moves an import by: from the position `before` to `after`, where `line` lines are before
    and everything before has this `digest`; with the salts that were made meanwhile, by day."""

    import_id: str
    before: int
    after: int
    line: int
    digest: bytes
    bytes_read: int
    salts: list[tuple[int, bytes]]
    counts: Counts


_COLUMNS: Final = ", ".join(Import._fields)


def digest_of(data: bytes) -> bytes:
    """The digest by which a piece of a file is known."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


# ---------------------------------------------------------------- the ledger


def mint_id() -> str:
    """An id for an import."""
    return str(uuid4())


async def create(
    db: Database,
    project_id: int,
    import_id: str,
    *,
    name: str,
    file_format: str,
    source: str,
    honoured: bool,
    head: bytes,
    bytes_total: int,
    state: State,
    actor: str,
    at: int,
) -> Import:
    """Begin the record of a file that begins with `head`."""
    head = head[:HEAD_BYTES]
    values: dict[str, Any] = {
        "id": import_id,
        "project_id": project_id,
        "name": name.replace("\0", "")[:NAME_CHARACTERS_MAX],
        "format": file_format,
        "source": source,
        "honoured": int(honoured),
        "head": digest_of(head),
        "head_bytes": len(head),
        "digest": digest_of(b""),
        "bytes_total": bytes_total,
        "state": state,
        "actor": actor,
        "created_at": at,
        "updated_at": at,
    }
    marks = ", ".join(f":{column}" for column in values)
    insert = f"INSERT INTO import ({', '.join(values)}) VALUES ({marks}) RETURNING {_COLUMNS}"
    subject = values["name"]
    inserted, _ = await db.write_all([(insert, values), audit.entry(at, actor, "import.create", subject, file_format)])
    return _import(inserted[0])


async def candidates(db: Database, project_id: int, head: bytes) -> list[Import]:
    """Imports of files that begin as this one does, those that came furthest first."""
    head = head[:HEAD_BYTES]
    rows = await db.read(
        f"SELECT {_COLUMNS} FROM import WHERE project_id = :project_id AND (head = :head OR head_bytes < :head_bytes)"
        " ORDER BY position DESC, created_at, id",
        {"project_id": project_id, "head": digest_of(head), "head_bytes": len(head)},
    )
    found = [_import(row) for row in rows]
    return [each for each in found if each.head == digest_of(head[: each.head_bytes])]


async def take_up(
    db: Database, found: Import, *, head: bytes, bytes_total: int, state: State, file_format: str, at: int
) -> Import:
    """Go on with a file, which begins with `head` and has so many bytes by now. One of which nothing is stored may have
    another format than was thought: then it is read from its beginning."""
    again = file_format != found.format
    head = head[:HEAD_BYTES]
    rows = await db.write(
        "UPDATE import SET state = :state, error = '', head = :head, head_bytes = :head_bytes,"
        " bytes_total = :bytes_total, updated_at = :at, ended_at = NULL, format = :format, position = :position,"
        " line = :line, digest = :digest, bytes_read = :bytes_read, counts = :counts"
        f" WHERE id = :id AND position = :before RETURNING {_COLUMNS}",
        {
            "id": found.id,
            "state": state,
            "head": digest_of(head),
            "head_bytes": len(head),
            "bytes_total": bytes_total,
            "at": at,
            "format": file_format,
            "position": 0 if again else found.position,
            "line": 0 if again else found.line,
            "digest": digest_of(b"") if again else found.digest,
            "bytes_read": 0 if again else found.bytes_read,
            "counts": _encoded(Counts() if again else found.counts),
            "before": found.position,
        },
    )
    if not rows:
        raise Invalid("The file is being imported right now.", code="import_running", status=409)
    return _import(rows[0])


async def find(db: Database, import_id: str) -> Import | None:
    """One import."""
    rows = await db.read(f"SELECT {_COLUMNS} FROM import WHERE id = :id", {"id": import_id})
    return _import(rows[0]) if rows else None


async def of_project(db: Database, project_id: int, *, limit: int = 100) -> list[Import]:
    """A project's imports, those that changed last first."""
    rows = await db.read(
        f"SELECT {_COLUMNS} FROM import WHERE project_id = :id ORDER BY created_at DESC, id LIMIT :limit",
        {"id": project_id, "limit": limit},
    )
    return [_import(row) for row in rows]


async def count_waiting(db: Database, project_id: int) -> int:
    """How many of a project's imports wait for their turn."""
    select = "SELECT count(*) FROM import WHERE project_id = :id AND state = 'waiting'"
    return int((await db.read(select, {"id": project_id}))[0][0])


async def begin(db: Database, import_id: str, *, at: int) -> bool:
    """Say that an import that waits, or was cut off, is going on. False where it is to be left alone."""
    update = (
        "UPDATE import SET state = 'running', updated_at = :at WHERE id = :id AND state IN ('waiting', 'running')"
        " RETURNING id"
    )
    return bool(await db.write(update, {"id": import_id, "at": at}))


async def end(db: Database, import_id: str, state: State, *, error: str = "", at: int) -> None:
    """Say how a running import ended; one that was stopped meanwhile stays so. What only an import that goes on needs
    is removed."""
    await db.write(
        "UPDATE import SET state = :state, error = :error, updated_at = :at, ended_at = :at"
        " WHERE id = :id AND state IN ('waiting', 'running')",
        {"id": import_id, "state": state, "error": error[:500], "at": at},
    )
    delete = (
        "DELETE FROM import_visit WHERE import_id = :id AND number IN"
        " (SELECT v.number FROM import_visit v WHERE v.import_id = :id LIMIT :rows) RETURNING number"
    )
    while await db.write(delete, {"id": import_id, "rows": _STEP_ROWS}):
        pass


async def stop(db: Database, found: Import, *, actor: str, at: int) -> bool:
    """End an import before its end: nothing more of it is stored. False when it had ended already."""
    update = (
        "UPDATE import SET state = 'stopped', updated_at = :at, ended_at = :at"
        " WHERE id = :id AND state IN ('waiting', 'running') RETURNING id"
    )
    note = audit.entry(at, actor, "import.stop", found.name)
    stopped, _ = await db.write_all([(update, {"id": found.id, "at": at}), note])
    return bool(stopped)


async def forget(db: Database, found: Import, *, actor: str, at: int) -> None:
    """Remove an ended import of which no event is stored, and the figures that it brought. Raises Invalid (409) for
    another one: without its record the same file would count twice."""
    message = "The record of an import stays, so that its file can never count twice."
    if found.counts.stored:
        raise Invalid(message, code="import_kept", status=409)
    delete = (
        "DELETE FROM import WHERE id = :id AND position = :position AND state NOT IN ('waiting', 'running')"
        " RETURNING id"
    )
    gone = "NOT EXISTS (SELECT 1 FROM import WHERE id = :id)"
    note = (
        "INSERT INTO audit (at, actor, action, subject, detail)"
        f" SELECT :at, :actor, 'import.forget', :subject, '' WHERE {gone}"
    )
    own = {"id": found.id}
    deleted, *_ = await db.write_all(
        [
            (delete, own | {"position": found.position}),
            (f"DELETE FROM import_salt WHERE import_id = :id AND {gone}", own),
            (
                f"DELETE FROM imported_figure WHERE project_id = :project_id AND import_id = :id AND {gone}",
                own | {"project_id": found.project_id},
            ),
            (note, own | {"at": at, "actor": actor, "subject": found.name}),
        ]
    )
    if not deleted:
        raise Invalid(message, code="import_kept", status=409)


def as_object(found: Import) -> dict[str, Any]:
    """An import as the API and the command line show it."""
    counts = found.counts
    return {
        "id": found.id,
        "name": found.name,
        "format": found.format,
        "state": found.state,
        "error": found.error or None,
        "bytes_read": found.bytes_read,
        "bytes_total": found.bytes_total,
        "progress": 1.0 if found.state == "done" else round(found.bytes_read / max(found.bytes_total, 1), 4),
        "lines": found.line,
        "rows": counts.stored + counts.figures,
        "duplicates": counts.duplicates,
        "dropped": counts.dropped,
        "refused": counts.refused,
        "faults": [{"line": fault.line, "code": fault.code, "message": fault.message} for fault in counts.faults],
        "first_event_at": _iso(counts.first),
        "last_event_at": _iso(counts.last),
        "created_at": _iso(found.created_at),
        "updated_at": _iso(found.updated_at),
        "ended_at": _iso(found.ended_at),
    }


def _iso(time: int | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time // MICROSECONDS, UTC).isoformat()


def require(found: Import | None, project_id: int) -> Import:
    """The import, where it is the project's. Raises NotFound."""
    if found is None or found.project_id != project_id:
        raise NotFound("There is no such import.")
    return found


# ---------------------------------------------------------------- salts


async def salts_of(db: Database, import_id: str) -> dict[int, bytes]:
    """An import's salts by day."""
    rows = await db.read("SELECT day, value FROM import_salt WHERE import_id = :id", {"id": import_id})
    return {day: bytes(value) for day, value in rows}


def oldest_salt_day(now: int) -> int:
    """The first day whose salts may be kept without a need: yesterday, anywhere on earth."""
    return (now - DAY // 2) // DAY - 1


async def forget_salts(db: Database, now: int) -> None:
    """Delete the old salts of imports that do not go on."""
    await db.write(
        "DELETE FROM import_salt WHERE day < :oldest AND NOT EXISTS"
        " (SELECT 1 FROM import i WHERE i.id = import_salt.import_id AND i.state IN ('waiting', 'running'))",
        {"oldest": oldest_salt_day(now)},
    )


async def forget_old_salts(db: Database, import_id: str, now: int) -> None:
    """Delete the old salts of one import, which has caught up with its file."""
    delete = "DELETE FROM import_salt WHERE import_id = :id AND day < :oldest"
    await db.write(delete, {"id": import_id, "oldest": oldest_salt_day(now)})


# ---------------------------------------------------------------- in the transaction that stores what was read


def enter(tx: DrainTransaction, step: Step, at: int) -> Counts | None:
    """Move an import from where the step begins to where it ends, and keep others out until the transaction ends.
    Gives what was counted before; None where nothing of the step may be stored: it was already, or the import was
    stopped or is gone."""
    rows = tx.execute(
        "UPDATE import SET position = :after, line = :line, digest = :digest, bytes_read = :bytes_read,"
        " updated_at = :at WHERE id = :id AND position = :before AND state = 'running' RETURNING counts",
        {
            "id": step.import_id,
            "before": step.before,
            "after": step.after,
            "line": step.line,
            "digest": step.digest,
            "bytes_read": step.bytes_read,
            "at": at,
        },
    )
    if not rows:
        return None
    for day, value in step.salts:
        tx.execute(
            "INSERT INTO import_salt (import_id, day, value) VALUES (:id, :day, :value)",
            {"id": step.import_id, "day": day, "value": value},
        )
    return msgspec.json.decode(rows[0][0], type=Counts)


def leave(tx: DrainTransaction, import_id: str, counts: Counts) -> None:
    """Keep what was counted, now that everything of a step is stored."""
    tx.execute("UPDATE import SET counts = :counts WHERE id = :id", {"id": import_id, "counts": _encoded(counts)})


def visits(tx: DrainTransaction, import_id: str, numbers: Collection[int]) -> dict[int, tuple[int, int]]:
    """By their numbers in the file the visits that are stored already: id, and a time in the visit's span."""
    found = {}
    for some in portions(sorted(numbers)):
        # Of few lengths, so that there are few statements.
        names = {f"n{place}": some[min(place, len(some) - 1)] for place in range(PORTION)}
        select = (
            "SELECT number, visit_id, near FROM import_visit WHERE import_id = :id"
            f" AND number IN ({', '.join(f':{name}' for name in names)})"
        )
        for number, visit_id, near in tx.execute(select, {"id": import_id, **names}):
            found[number] = (visit_id, near)
    return found


def note_visits(tx: DrainTransaction, import_id: str, new: Mapping[int, Visit]) -> None:
    """Remember which visits numbers of the file stand for."""
    for some in portions(list(new.items())):
        values: dict[str, Any] = {"id": import_id}
        for place, (number, visit) in enumerate(some):
            values |= {f"p{place}": visit.project_id, f"n{place}": number}
            values |= {f"v{place}": visit.id, f"t{place}": visit.start}
        rows = ", ".join(f"(:p{place}, :id, :n{place}, :v{place}, :t{place})" for place in range(len(some)))
        tx.execute(
            f"INSERT INTO import_visit (project_id, import_id, number, visit_id, near) VALUES {rows}"
            " ON CONFLICT (import_id, number) DO UPDATE SET visit_id = excluded.visit_id, near = excluded.near",
            values,
        )


def portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as go into one statement."""
    return (items[place : place + PORTION] for place in range(0, len(items), PORTION))


def _encoded(counts: Counts) -> str:
    return msgspec.json.encode(counts).decode()


def _import(row: Row) -> Import:
    values: list[Any] = list(row)
    for column in ("head", "digest"):
        values[_PLACES[column]] = bytes(values[_PLACES[column]])
    values[_PLACES["honoured"]] = bool(values[_PLACES["honoured"]])
    values[_PLACES["counts"]] = msgspec.json.decode(values[_PLACES["counts"]], type=Counts)
    return Import(*values)


_PLACES: Final = {name: place for place, name in enumerate(Import._fields)}
