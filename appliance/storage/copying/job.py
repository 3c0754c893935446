"""The copy itself: may be killed at any instant and run again, and the end is the same.

Every slice is noted in the target together with its rows, with a digest of what the source had. Run again, the source
may have changed meanwhile: slices that differ from it by now are removed first, all of them, because a visit may have
moved from one to another; then what is missing is copied. Management tables are small beside that: they are copied
whole, in one transaction, each time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from appliance.errors import ConfigurationError
from appliance.storage.copying.ends import NOTHING, Piece, Slice, Source, Target, Totals

TRANSACTION_ROWS: Final = 50_000  # a transaction takes slices until it has so many; one slice may have more

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how many events of how many it is done with."""


class Compared(NamedTuple):
    """One figure of both sides. `project` is None for the rows of a table."""

    project: int | None
    name: str
    source: int
    target: int

    @property
    def equal(self) -> bool:
        return self.source == self.target


class Copied(NamedTuple):
    """How a copy went."""

    figures: Sequence[Compared]
    events: int

    @property
    def equal(self) -> bool:
        return all(figure.equal for figure in self.figures)


def copy(source: Source, target: Target, *, restart: bool = False, tell: Tell = lambda *_: None) -> Copied:
    """Make the target the same as the source, and compare them; while they differ the target stays marked.

    `restart`: begin anew where there is an unfinished copy. Raises ConfigurationError when the target is neither empty
    nor an unfinished copy of this source; StorageUnavailable, ChunkDamaged.
    """
    _begin(source, target, restart)
    total = source.events()
    progress = _Progress(tell, total)
    _drop_changed(source, target, progress)
    _copy_missing(source, target, progress)
    tell("settings and texts", total, total)
    target.transact(lambda: _copy_tables(source, target))
    tell("counting", total, total)
    copied = Copied(compared(source, target), total)
    if copied.equal:
        target.transact(lambda: target.finish(source.newest()))
    return copied


def compared(source: Source, target: Target) -> list[Compared]:
    """Plain counts of both sides, by project and by table."""
    figures = []
    there, here = source.totals(), target.totals()
    for project in sorted({*there, *here}):
        pairs = zip(there.get(project, NOTHING), here.get(project, NOTHING), strict=True)
        figures += [Compared(project, name, *pair) for name, pair in zip(Totals._fields, pairs, strict=True)]
    return figures + [
        Compared(None, table, source.count(table), target.count(table)) for table in _tables(source, target)
    ]


def _begin(source: Source, target: Target, restart: bool) -> None:
    if source.identity == target.identity:
        raise ConfigurationError(f"{source.identity} cannot be copied into itself")
    before = target.unfinished()
    if before is None:
        if not target.is_empty():
            raise ConfigurationError(
                f"{target.identity} has projects, accounts or events already: copy into a new database"
            )
    elif restart:
        target.transact(target.wipe)
    elif before != source.identity:
        raise ConfigurationError(
            f"{target.identity} is an unfinished copy of {before}, not of {source.identity}: go on with that one,"
            " or give --restart to begin anew"
        )
    target.transact(lambda: target.begin(source.identity))


class _Progress:
    """Counts events and tells of it."""

    def __init__(self, tell: Tell, total: int) -> None:
        self._tell, self._total = tell, total
        self.events = 0

    def add(self, doing: str, events: int) -> None:
        self.events += events
        self._tell(doing, min(self.events, self._total), self._total)


def _drop_changed(source: Source, target: Target, progress: _Progress) -> None:
    """Remove slices that are no longer what the source has."""
    changed = []
    for slice_, noted in target.done().items():
        progress.add("comparing", 0)
        digest = Digest()
        for piece in source.rows_of(slice_):
            digest.add(piece)
            progress.add("comparing", len(piece.events))
        if str(digest) != noted:
            changed.append(slice_)
    if changed:
        target.transact(lambda: target.drop(changed))


def _copy_missing(source: Source, target: Target, progress: _Progress) -> None:
    done = target.done()
    progress.add("copying", 0)
    missing = deque(slice_ for slice_ in source.slices() if slice_ not in done)

    def some() -> None:
        rows = 0
        while missing and rows < TRANSACTION_ROWS:
            rows += _copy_slice(source, target, missing.popleft(), progress)

    while missing:
        target.transact(some)


def _copy_slice(source: Source, target: Target, slice_: Slice, progress: _Progress) -> int:
    """Gives how many rows it has."""
    digest = Digest()
    for piece in source.rows_of(slice_):
        target.add_visits(piece.visits)
        target.add_events(piece.events)
        digest.add(piece)
        progress.add("copying", len(piece.events))
    if digest.rows:
        target.note(slice_, str(digest))
    return digest.rows


def _tables(source: Source, target: Target) -> list[str]:
    """Those that both have."""
    return [table for table in source.tables if table in target.tables]


def _copy_tables(source: Source, target: Target) -> None:
    tables = _tables(source, target)
    for table in reversed(tables):
        target.clear(table)
    for table in tables:
        for rows in source.table(table, target.columns(table)):
            target.add(table, rows)


class Digest:
    """What stands for rows in whatever order: the sum of their BLAKE2b."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, piece: Piece) -> None:
        encode = msgspec.msgpack.Encoder().encode
        for row in chain(piece.visits, piece.events):
            self.rows += 1
            self._sum += int.from_bytes(blake2b(encode(row), digest_size=16).digest(), "big")

    def __str__(self) -> str:
        return f"{self.rows} {self._sum % (1 << 128):032x}"
