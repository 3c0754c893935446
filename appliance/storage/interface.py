"""What a storage engine offers; the rest of the appliance is built on these few verbs.

SQL given to `read`, `write` and `stream` is portable, with `:name` parameters; engines translate the placeholders.
"""

from collections.abc import AsyncIterator, Callable, Collection, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from appliance.model import Event, ProjectSettings, Visit

SOURCES_MAX = 500  # of a project that are listed; whoever may send can make up names

T = TypeVar("T")
Row = tuple[Any, ...]
Params = Mapping[str, Any]


class Position(NamedTuple):
    """A place in the journal: number of a segment, and the byte in it after the last whole record."""

    segment: int
    offset: int


class Known(NamedTuple):
    """What deduplication remembers of an event id: the UTC day (since 1970) of its receipt, a CRC-32 of its content,
    the stored event and its visit (0: none)."""

    received_day: int
    fingerprint: int
    event: int
    visit_id: int


class Counts(NamedTuple):
    """What is stored of a project. Times are UTC microseconds, None without events."""

    events: int
    pageviews: int
    visits: int
    visitors: int
    first_event: int | None
    last_event: int | None


class Purged(NamedTuple):
    """What one purge took out: projects that were deleted long enough ago, and visits with events of the others; or
    that it was left to another appliance, which removes something just now."""

    projects: int
    visits: int
    events: int
    left_to_another: bool = False


class Sealed(NamedTuple):
    """How many events are stored in the way that takes least room, and how many wait for it."""

    events: int
    waiting: int


class Condition(NamedTuple):
    """A database's software with versions, the version of its schema, its bytes on disk (about), what an operator
    should know: sentences, and of each aggregate by name what it is there."""

    software: str
    schema: int
    nbytes: int
    remarks: tuple[str, ...] = ()
    aggregates: Mapping[str, str] = {}


class StoredEvent(msgspec.Struct, gc=False):
    """One row of `event` to insert. Text values are dictionary codes; `event_id` is packed (event_ids.py)."""

    id: int
    project_id: int
    event_id: bytes | str
    visit_id: int
    time: int
    received: int
    kind: int
    flags: int
    rate: int
    name: int
    source: int
    hostname: int
    path: int
    title: int
    user: int
    scroll_depth: int
    engaged_ms: int
    revenue: int | None
    currency: int
    context: int
    properties: str | None


class Elsewhere(NamedTuple):
    """What others may have changed of visits: of all visitors, as (project, visitor), that they had to do with since;
    and visits as they are stored, which may be of other visitors than before."""

    visitors: Collection[tuple[int, int]] = ()
    visits: Collection[Visit] = ()


class DrainTransaction(Protocol):
    """The verbs of one drained batch. All of them happen together with `checkpoint`, or none does.

    Synchronous: it runs on the engine's writer thread.
    """

    generation: int
    """Another one than in the transaction before: stored visits or texts were removed meanwhile, and what is remembered
    of the database must be dropped."""

    def known(self, ids: Sequence[tuple[int, bytes | str]]) -> dict[tuple[int, bytes | str], Known]:
        """Those of (project, packed event id) that are remembered."""
        ...

    def prepare(
        self, events: Sequence[Event], remembered: Container[tuple[int, int]] = (), places: Mapping[int, int] = {}
    ) -> Elsewhere:
        """Make ready for these events, after `known` was asked for their ids and pageviews; and for stored visits by
        id, each with a time in its span. Of visitors that are remembered (project, visitor) nothing will be asked,
        unless they are among those that this gives.

        Gives what somebody else may have changed since this drain had to do with it, and what it finds stored: what is
        remembered of those visitors, or of these visits as another visitor's, must be dropped.
        """
        ...

    def visits_of(self, project_id: int, visitor: int, since: int, until: int) -> list[Visit]:
        """The visitor's visits that start in [since, until]."""
        ...

    def visit(self, visit_id: int) -> Visit | None:
        """One visit by its id."""
        ...

    def alias_of(self, project_id: int, visitor: int) -> int | None:
        """The id of the visit that this visitor's next events belong to although it has another visitor."""
        ...

    def code(self, project_id: int, dimension: int, text: str) -> int:
        """Dictionary code of a text, minted where new; 0 for what `dimensions.is_missing`."""
        ...

    def next_visit_id(self) -> int: ...

    def next_event_id(self) -> int: ...

    def add_events(self, rows: Sequence[StoredEvent]) -> None: ...

    def remember(self, seen: Sequence[tuple[int, bytes | str, int, int, int]]) -> None:
        """Deduplication rows: project, packed event id, day received, fingerprint, event row (0: none)."""
        ...

    def save_visits(self, new: Sequence[Visit], grown: Sequence[Visit], changed: Sequence[Visit]) -> None:
        """Of the grown, only the end, the exit page and the counts are other than stored."""
        ...

    def engage(self, project_id: int, event: int, scroll_depth: int, engaged_ms: int) -> None:
        """Raise a stored pageview's scroll depth (percent) to at least this, and add visible milliseconds."""
        ...

    def set_aside(self, numbered: Sequence[tuple[int, Event]]) -> None:
        """Keep engagement whose pageview is not known yet, each under a number above all before.

        Of the event its project, name, path, times, pageview id, scroll depth and visible milliseconds are kept, and
        nothing of who it was.
        """
        ...

    def waiting(self) -> list[tuple[int, Event]]:
        """All engagement that is set aside, by number, as far as it is kept."""
        ...

    def release(self, numbers: Sequence[int]) -> None:
        """Keep engagement no longer that was set aside."""
        ...

    def add_alias(self, project_id: int, visitor: int, visit: Visit) -> None: ...

    def drop_alias(self, project_id: int, visitor: int) -> None: ...

    def add_source(self, project_id: int, name: str, at: int) -> None:
        """Make the project's source known, unless it has SOURCES_MAX already, and that it was seen."""
        ...

    def add_usage(self, events: Mapping[tuple[int, int], int]) -> None:
        """Count events, by project and a time of their receipt, for the month of the project's calendar."""
        ...

    def merge_traits(self, project_id: int, user: int, traits: str, once: str, at: int) -> None:
        """Lay a JSON object of traits over what is stored of the user, name by name, and that over those to be set
        once."""
        ...

    def add_dead_letter(self, at: int, event: Event, error: str) -> None: ...

    def execute(self, sql: str, params: Params = {}) -> list[Row]:
        """The rows of a statement, portable as those that `Database` takes."""
        ...

    def announce(self, report: Callable[[Collection[int]], Sequence[bytes]]) -> None:
        """Let other appliances know what this transaction stored, once it is committed; `report` is asked only where
        there are any, for the projects that they watch."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """What happens inside is undone alone when it raises."""
        ...

    def checkpoint(self, journal_id: bytes, before: Position | None, after: Position, at: int) -> None:
        """Move a journal's checkpoint. Raises CheckpointMoved when it is not at `before`: somebody else drains the same
        journal, and nothing of this batch may stay."""
        ...


class DrainStore(Protocol):
    """Where the drain puts events. Synchronous: it belongs to the drain's own process."""

    def position(self, journal_id: bytes) -> Position | None:
        """Up to where a journal is in the database; None: nothing of it."""
        ...

    def has_project(self, project_id: int) -> bool:
        """Whether a project is there, which may be deleted and not removed yet. As in `settings_of`."""
        ...

    def settings_of(self, project_id: int) -> ProjectSettings:
        """A project's settings, within a transaction not older than the last change anybody made before it."""
        ...

    def transact(self, work: Callable[[DrainTransaction], T]) -> T:
        """Run `work` as one transaction. Raises StorageUnavailable where waiting may help, else what it raised."""
        ...

    def settle(self) -> None:
        """Make durable all that was committed. Raises StorageUnavailable."""
        ...

    def close(self) -> None: ...


class Database(Protocol):
    """One open database, of either engine."""

    @property
    def location(self) -> str:
        """Where it is, without a password."""
        ...

    async def open(self) -> None:
        """Connect, migrate, be ready. Raises StorageUnavailable, DatabaseTooNew."""
        ...

    async def close(self) -> None: ...

    async def read(self, sql: str, params: Params = {}) -> list[Row]:
        """All rows of a short query."""
        ...

    async def write(self, sql: str, params: Params = {}) -> list[Row]:
        """One durable statement in a transaction of its own; the rows of its RETURNING, if any."""
        ...

    async def write_all(self, statements: Sequence[tuple[str, Params]]) -> list[list[Row]]:
        """Several durable statements in one transaction; the RETURNING rows of each."""
        ...

    def stream(self, sql: str, params: Params = {}, *, batch_rows: int = 1000) -> AsyncIterator[list[Row]]:
        """A long result from one snapshot, in batches, in constant memory."""
        ...

    async def read_recent(self, sql: str, since: int) -> list[Row]:
        """All rows of a query over `event` and `visit`, of which it sees at least what happened in the last hour or
        two and was stored lately; :since, in UTC microseconds, is not longer ago."""
        ...

    def stream_stored(
        self, sql: str, project_id: int, start: int, end: int, *, batch_rows: int = 1000
    ) -> AsyncIterator[list[Row]]:
        """A long result over a project's `event` and `visit`, wherever their rows are, from one snapshot, in batches.

        The statement takes :project_id, :start and :end (UTC microseconds) and looks at visits that touch [start, end)
        alone; it is answered for groups of whole visits, one after the other. Raises ChunkDamaged.
        """
        ...

    async def condition(self) -> Condition:
        """What the database is made of, and how large it is."""
        ...

    def announcements(self, journal_id: bytes) -> AsyncIterator[bytes]:
        """What drains of other journals announce from now on, for ever. A database that is away is waited for."""
        ...

    async def watch(self, journal_id: bytes, projects: Collection[int]) -> None:
        """Have drains of other journals announce all events of these projects, and of no others, to the appliance with
        this one; what they store from now on."""
        ...

    async def count_stored(self, project_id: int) -> Counts:
        """What is stored of a project."""
        ...

    async def first_received(self, project_id: int) -> int | None:
        """About when a project's first event came, in UTC microseconds; None before there is one."""
        ...

    async def first_time(self, project_id: int) -> int | None:
        """When the first visit of a project began that is stored, in UTC microseconds; None before there is one."""
        ...

    async def seal(self) -> None:
        """Move what no event on time can change any more to where it takes least room. Raises StorageUnavailable."""
        ...

    async def count_sealed(self) -> Sealed:
        """How far sealing is, over all projects."""
        ...

    async def erase(self) -> None:
        """Carry out the erasures that were asked for (storage/erasures.py) and are not done, until nothing is left of
        those people in any row and, unless a reader is in the way, in any byte that the engine can reach: in the files
        of a SQLite database, and in the dead rows of a PostgreSQL database. Of several appliances one does it.

        May be ended at any instant and called again. Ids of their events are still recognised, so that a retry does not
        bring one back. Raises StorageUnavailable.
        """
        ...

    async def purge(self) -> Purged:
        """Remove visits that ended before the days that their project keeps (`raw_retention_days`), with their events,
        and all rows of projects that were deleted too long ago to be brought back.

        May be ended at any instant and called again. Raises StorageUnavailable.
        """
        ...

    async def raw_purged_before(self, project_id: int) -> int | None:
        """Up to when visits and events of a project may be missing because they were purged, in UTC microseconds.

        Visits that ended then or later are all there. None: nothing was purged.
        """
        ...

    async def forget_ids(self, before_day: int, names_before_day: int) -> int:
        """Delete deduplication rows received before that day, and names of page views of days before the other, in
        bounded steps; how many there were."""
        ...

    async def forget_aliases(self, before: int) -> None:
        """Delete aliases of visits that ended before."""
        ...
