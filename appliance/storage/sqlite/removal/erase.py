"""Erasing people: everything that is stored of those whom table `erasure` names goes, step by step.

Every step is one transaction of bounded size, so that it may be killed at any instant and run again; what is still to
do stands in the database. First it is found out who they are: the visitors that a user had and, of a visitor that was
identified for good, the user. Then their visits go. The last step sees, in one transaction, that nothing is left, and
only then forgets the user's id, by which the rest would be found. Until then the drain may store more of them.

Rows of `seen` stay, with no event: they hold no one's data, and without them a retry would bring an event back.
"""

import secrets
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.clock import now
from appliance.model import Event
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.evaluation import BEGINNING
from appliance.storage.sqlite.chunks.columns import ChunkReader
from appliance.storage.sqlite.chunks.index import Chunk, chunks
from appliance.storage.sqlite.removal.taking import Removed, remove_from_chunk, remove_rows, tell
from appliance.storage.sqlite.rollups.erase import erase_from, final_after
from appliance.storage.sqlite.rollups.index import delete_unit, units
from appliance.storage.sqlite.steps import Transact

LETTERS_LOOKED_AT: Final = 1_000  # dead letters in one step

_USER: Final = DICTIONARIES["user"]
_AMONG: Final = "(SELECT j.value FROM json_each({}) j)"
# The identified visits of persistent visitors: those tell which visitor is which user.
_KNOWN: Final = (
    "SELECT DISTINCT v.visitor, v.user FROM visit v"
    " WHERE v.project_id = :project AND v.salt_day IS NULL AND v.user <> 0"
    f" AND (v.visitor IN {_AMONG.format(':visitors')} OR v.user IN {_AMONG.format(':users')})"
)
# A user may have an event in a visit that is not theirs only where an import says so; that visit goes too.
_VISITS: Final = (
    "SELECT v.id, v.events, v.start FROM visit v WHERE v.project_id = :project"
    f" AND (v.visitor IN {_AMONG.format(':visitors')} OR v.user IN {_AMONG.format(':users')} OR v.id IN"
    f" (SELECT e.visit_id FROM event e WHERE e.project_id = :project AND e.user IN {_AMONG.format(':users')}))"
    " ORDER BY v.id"
)
_UNLINK: Final = "UPDATE seen SET event = 0 WHERE project_id = ? AND event_id = ? AND event = ?"
_letter = msgspec.msgpack.Decoder(Event).decode


def erase_all(transact: Transact) -> Iterator[Removed]:
    """Carry out all erasures that were asked for; each thing that comes out is a committed step that took rows out.

    Raises ChunkDamaged.
    """
    select = "SELECT id FROM erasure WHERE erased_at IS NULL ORDER BY id"
    for (erasure_id,) in transact(lambda connection: connection.execute(select).fetchall()):
        erasing = _Erasing(erasure_id)
        while transact(erasing.find_out):
            pass
        while (removed := transact(erasing.remove)) is not None:
            if removed.visits:
                yield removed


class _Erasing:
    """One erasure. After a step that failed it is not used any more."""

    def __init__(self, erasure_id: int) -> None:
        self._id = erasure_id
        # Up to here sealed visits were looked at. Chunks made since have larger ids, those there never change.
        self._chunk = 0
        self._letter = 0
        self._start = BEGINNING  # up to this one final units were looked at
        self._known: tuple[int, int] | None = None

    def find_out(self, connection: sqlite3.Connection) -> bool:
        """One step towards knowing all visitors and users that the person is. False: they are known."""
        person = _Person.read(connection, self._id)
        if person.found_out:
            return False
        if not self._chunk:
            self._known = person.size
        chunk = _chunk_after(connection, person.project_id, self._chunk)
        if chunk is not None:
            self._chunk = chunk.id
            person.add(connection, _known_sealed(ChunkReader(connection, chunk), person))
        else:
            person.add(connection, connection.execute(_KNOWN, person.parameters).fetchall())
            person.found_out = self._known == person.size  # what one look found may tell more at the next
            self._chunk = 0
        person.write(connection)
        return True

    def remove(self, connection: sqlite3.Connection) -> Removed | None:
        """One step of taking out what there is of them. None: nothing is left."""
        person = _Person.read(connection, self._id)
        if (chunk := _chunk_after(connection, person.project_id, self._chunk)) is not None:
            self._chunk = chunk.id
            theirs = _theirs_sealed(ChunkReader(connection, chunk), person)
            removed = remove_from_chunk(connection, chunk, theirs.keys()) if theirs else Removed(0, 0)
            _drop_rollups(connection, person.project_id, theirs.values())
        elif visits := connection.execute(_VISITS, person.parameters).fetchall():
            removed = remove_rows(connection, [(visit_id, events) for visit_id, events, _ in visits])
            _drop_rollups(connection, person.project_id, [start for _, _, start in visits])
        elif letters := _letters_after(connection, person.project_id, self._letter):
            self._letter = letters[-1][0]
            removed = Removed(0, 0)
            sent = [(letter_id,) for letter_id, event in letters if person.sent(_letter(event))]
            connection.executemany("DELETE FROM dead_letter WHERE id = ?", sent)
        elif (unit := final_after(connection, person.project_id, self._start)) is not None:
            self._start = unit.start
            removed = Removed(0, 0)
            erase_from(connection, unit, person.visitors)
        else:
            _forget(connection, person)
            return None
        connection.executemany(_UNLINK, ((person.project_id, event_id, event) for event, event_id in removed.ids))
        if removed.visits:
            count = "UPDATE erasure SET visits = visits + ?, events = events + ? WHERE id = ?"
            connection.execute(count, (removed.visits, removed.events, self._id))
        return removed


class _Person:
    """Whom an erasure is about, as it stands in the database. `codes` are those that the users have now."""

    def __init__(self, erasure_id: int, project_id: int, users: set[str], visitors: set[int], found_out: bool) -> None:
        self.erasure_id = erasure_id
        self.project_id = project_id
        self.users = users
        self.visitors = visitors
        self.found_out = found_out
        self.codes: list[int] = []

    @classmethod
    def read(cls, connection: sqlite3.Connection, erasure_id: int) -> "_Person":
        select = "SELECT id, project_id, users, visitors, found_out FROM erasure WHERE id = ?"
        number, project_id, users, visitors, found_out = connection.execute(select, (erasure_id,)).fetchone()
        decode = msgspec.json.decode
        person = cls(number, project_id, decode(users, type=set[str]), decode(visitors, type=set[int]), bool(found_out))
        select = (
            "SELECT d.code FROM dictionary d"
            f" WHERE d.project_id = ? AND d.dimension = {_USER} AND d.text IN {_AMONG.format('?')}"
        )
        person.codes = [code for (code,) in connection.execute(select, (project_id, users))]
        return person

    def write(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE erasure SET users = ?, visitors = ?, found_out = ? WHERE id = ?",
            (_json(sorted(self.users)), _json(sorted(self.visitors)), self.found_out, self.erasure_id),
        )

    @property
    def size(self) -> tuple[int, int]:
        return len(self.users), len(self.visitors)

    @property
    def parameters(self) -> dict[str, int | str]:
        return {"project": self.project_id, "visitors": _json(self.visitors), "users": _json(self.codes)}

    def add(self, connection: sqlite3.Connection, known: Iterable[tuple[int, int]]) -> None:
        """Take in visitors and the codes of the users that they are."""
        select = f"SELECT d.text FROM dictionary d WHERE d.project_id = ? AND d.dimension = {_USER} AND d.code = ?"
        for visitor, code in known:
            self.visitors.add(visitor)
            self.users.update(text for (text,) in connection.execute(select, (self.project_id, code)))

    def sent(self, event: Event) -> bool:
        """Whether an event that could not be stored is theirs."""
        return event.user_id in self.users or not self.visitors.isdisjoint(
            (event.visitor, event.visitor_yesterday, event.anonymous)
        )


def _forget(connection: sqlite3.Connection, person: _Person) -> None:
    """What is stored of them beside their visits; and that it was they."""
    project_id = person.project_id
    for table in ("alias", "wanderer"):
        connection.executemany(
            f"DELETE FROM {table} WHERE project_id = ? AND visitor = ?",
            ((project_id, visitor) for visitor in person.visitors),
        )
    for code in person.codes:
        connection.execute("DELETE FROM user_trait WHERE project_id = ? AND user = ?", (project_id, code))
        # The row stays, so that no other user is ever given this code.
        connection.execute(
            "UPDATE dictionary SET text = ? WHERE project_id = ? AND dimension = ? AND code = ?",
            (f"erased {secrets.token_hex(8)}", project_id, _USER, code),
        )
    tell(connection)
    connection.execute(
        "UPDATE erasure SET users = '[]', visitors = '[]', erased_at = ? WHERE id = ?", (now(), person.erasure_id)
    )


def _drop_rollups(connection: sqlite3.Connection, project_id: int, starts: Collection[int]) -> None:
    """Rollups list visitors; those of the days of these visits are made anew from what is left.

    Final ones may be all that is left, and are seen to in the end.
    """
    for unit in units(connection, project_id) if starts else ():
        if not unit.final and any(unit.start <= start < unit.end for start in starts):
            delete_unit(connection, unit)


def _chunk_after(connection: sqlite3.Connection, project_id: int, chunk_id: int) -> Chunk | None:
    next_id = "c.id = (SELECT min(o.id) FROM chunk o WHERE o.project_id = ? AND o.id > ?)"
    return next(iter(chunks(connection, next_id, (project_id, chunk_id))), None)


def _letters_after(connection: sqlite3.Connection, project_id: int, letter_id: int) -> list[tuple[int, bytes]]:
    select = "SELECT d.id, d.event FROM dead_letter d WHERE d.project_id = ? AND d.id > ? ORDER BY d.id LIMIT ?"
    return connection.execute(select, (project_id, letter_id, LETTERS_LOOKED_AT)).fetchall()


def _known_sealed(reader: ChunkReader, person: _Person) -> set[tuple[int, int]]:
    """What _KNOWN finds, in a chunk."""
    visitors, users = reader.visit("visitor"), reader.visit("user")
    persistent = np.ma.getmaskarray(reader.visit("salt_day"))
    known = persistent & (users != 0) & (_among(visitors, person.visitors) | _among(users, person.codes))
    return set(zip(visitors[known].tolist(), users[known].tolist(), strict=True))


def _theirs_sealed(reader: ChunkReader, person: _Person) -> dict[int, int]:
    """The visits that _VISITS finds, in a chunk: ids and starts."""
    ids = reader.visit("id")
    theirs = _among(reader.visit("visitor"), person.visitors)
    if person.codes:
        named = reader.event("visit_id")[_among(reader.event("user"), person.codes)]
        theirs |= _among(reader.visit("user"), person.codes) | np.isin(ids, named)
    return dict(zip(ids[theirs].tolist(), reader.visit("start")[theirs].tolist(), strict=True))


def _among(values: NDArray[np.int64], wanted: Iterable[int]) -> NDArray[np.bool_]:
    return np.isin(values, np.array(list(wanted), np.int64))


def _json(values: Iterable[int] | Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()
