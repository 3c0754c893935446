"""Answers that are kept until something that they speak of changes. For the query worker only."""

from collections import OrderedDict, deque
from typing import Final, NamedTuple

from appliance.storage.evaluation import Rows

ANSWERS_KEPT: Final = 512
ROWS_MAX: Final = 2_000  # of all reports of a step; longer answers are not kept
CHANGES_KEPT: Final = 1_000

Span = tuple[int, int]  # UTC microseconds, [start, end)


class _Kept(NamedTuple):
    reports: list[Rows]
    span: Span
    version: int


class Answers:
    """Answers of one project by what was asked, each with the range that it looked at.

    Chunks do not change: who is told of every hot visit that came or changed can tell whether an answer still holds.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._changes: deque[tuple[int, Span]] = deque(maxlen=CHANGES_KEPT)
        self._version = 0

    def forget(self) -> None:
        """Drop all: rows became columns, or columns rows."""
        self._kept.clear()

    def note(self, span: Span) -> None:
        """Visits that touch this range came or changed."""
        self._version += 1
        self._changes.append((self._version, span))

    def find(self, asked: bytes) -> list[Rows] | None:
        """The answer, if it still holds."""
        kept = self._kept.get(asked)
        if kept is None:
            return None
        if self._has_changed(kept):
            del self._kept[asked]
            return None
        self._kept.move_to_end(asked)
        return kept.reports

    def keep(self, asked: bytes, span: Span, reports: list[Rows]) -> None:
        """Remember an answer that was found with all changes that were noted."""
        if sum(map(len, reports)) <= ROWS_MAX:
            self._kept[asked] = _Kept(reports, span, self._version)
            if len(self._kept) > ANSWERS_KEPT:
                self._kept.popitem(last=False)

    def _has_changed(self, kept: _Kept) -> bool:
        if kept.version < self._version - len(self._changes):
            return True  # too long ago to know
        start, end = kept.span
        return any(version > kept.version and first < end and last >= start for version, (first, last) in self._changes)
