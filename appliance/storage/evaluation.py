"""What answers questions: a plan of SELECT statements in, plain rows out. Both engines offer it.

The plan's SQL is composed by `queries/sql.py` from a whitelist and never holds text that somebody sent: values are
bound by name, and a filter on text is a `CodeSet`, which the engine turns into dictionary codes. The statements read
two tables of one project, `event` and `visit`, and dictionaries; which columns they use is stated, so that an engine
may decode those alone.
"""

from collections.abc import Iterable
from typing import Final, Literal, Protocol

import msgspec

Matching = Literal["is", "contains", "matches"]
Cell = int | str | None
Rows = list[tuple[Cell, ...]]
Answer = list[list[Rows]]  # per step, per report

# Of a range without edges: the smallest and the largest time, in UTC microseconds.
BEGINNING: Final = -(1 << 63)
END: Final = (1 << 63) - 1


class CodeSet(msgspec.Struct, frozen=True, array_like=True):
    """The codes of a dictionary whose text is, contains or matches (RE2, anywhere) at least one of the values.

    `extra` are codes that the dictionary does not hold with the text they stand for, tried like the others. `labels`:
    what some of the texts are called, which is compared in their place.
    """

    dictionary: int | str
    matching: Matching
    values: tuple[str, ...]
    case_sensitive: bool = True
    extra: tuple[tuple[int, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


class Rolled(msgspec.Struct, frozen=True, array_like=True):
    """Rollups that a step reads: the `names` of the catalogue (or `month`) in its range.

    The engine covers as much of that as it can by closed days and months of the time zone. What those say stands
    in `rolled_<name>`: `code` and the measures of storage/rollup.py; of event counts `time` (start of the slot, UTC
    microseconds), `event_source`, `event_name`, `events` and `pageviews`. The visits that they do not speak of stand in
    `rest_visit` and `rest_event`. Visitors who are in both stand in `again_<name>`, with each `code` under which they
    are counted in `rolled_<name>`; of event counts there is no such table. Of the rest only what is not before the
    bound value `rest_from` may be counted: what is purged is in the rollups, also where a part of its visit is left.

    `of_visits`: figures of visits are grouped by what their events have, which rollups of purged days cannot tell.
    """

    names: tuple[str, ...]
    timezone: str
    of_visits: bool


class Step(msgspec.Struct, frozen=True, array_like=True):
    """Statements over one range and filter.

    `relations` (name, SELECT) build on each other in that order and are what the `reports` read; `inline`: the first
    report alone does, so that they need not be made as tables. The first `by_visit` of them are the only ones that read
    stored visits and events, and each of their rows comes of one visit: they may be made of one part of the visits,
    which has all their events, after the other. 0: all statements need all visits at once.
    `parameters`, `texts` and `code_sets` are bound by name; a code set arrives in SQL as a list of codes. What the
    statements say depends on visits that touch [`start`, `end`) alone, and their events. Where they look at all times,
    `asked_from` is where the range that was asked for begins, of which nothing may be missing.
    """

    reports: tuple[str, ...]
    relations: tuple[tuple[str, str], ...] = ()
    parameters: dict[str, int] = {}
    texts: dict[str, list[str]] = {}
    code_sets: dict[str, CodeSet] = {}
    start: int = BEGINNING
    end: int = END
    rolled: Rolled | None = None
    inline: bool = False
    by_visit: int = 0
    asked_from: int = BEGINNING

    @property
    def needed(self) -> tuple[int, int]:
        """The range of which nothing may be missing."""
        return max(self.start, self.asked_from), self.end


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """What one round trip asks about one project: all steps see the same snapshot.

    `event` and `visit` name the columns used of these tables, `rest_event` and `rest_visit` those of the ones that go
    with rollups, `dictionaries` those (dimensions.py) whose texts the
    answer shows, `properties` the custom properties that some of those columns are. Of visits that do not touch
    [`start`, `end`), in UTC microseconds, and their events nothing is asked.

    `weighted`: the statements mind sampling rates. Others are answered only where no sampled data touch the range of a
    step, so that projects without any pay nothing for the others. A weighted plan reads no rollups.
    """

    project_id: int
    event: tuple[str, ...]
    visit: tuple[str, ...]
    dictionaries: tuple[int | str, ...]
    steps: tuple[Step, ...]
    properties: tuple[str, ...] = ()
    start: int = BEGINNING
    end: int = END
    rest_event: tuple[str, ...] = ()
    rest_visit: tuple[str, ...] = ()
    weighted: bool = False


class SampledData(Exception):
    """Events or visits with a sampling rate touch the range of a step, and the plan is not weighted."""


class NotRolledUp(Exception):
    """Steps with rollups have to be asked without, because none say anything now; `spans`: their ranges."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        super().__init__()
        self.spans = frozenset(spans)


class QueryEngine(Protocol):
    """The verbs of an engine that answers questions."""

    dialect: Literal["duckdb", "postgresql"]
    rolled_dialect: Literal["duckdb", "postgresql"]  # of the statements of steps with rollups

    async def ask(self, plan: Plan) -> Answer:
        """Run a plan in one snapshot. Cancelling the call stops the work.

        Raises QueryTimeout, StorageUnavailable; SampledData, decided in the same snapshot, when the plan has to be
        weighted; NotRolledUp when steps have to be asked without rollups; Invalid when a pattern of a code set is no
        regular expression; RawPurged when a step with a range needs what is purged; ChunkDamaged, naming its days,
        when it needs what cannot be read.
        """
        ...

    async def first_event(self, project_id: int) -> int | None:
        """Time of a project's first event in UTC microseconds, None when it has none."""
        ...

    async def close(self) -> None: ...
