"""What sampling does to answers: figures from numbers by rate, and the mark that an answer carries.

An answer is marked when anything in its range was kept at a rate, also what its filters leave out: what was dropped is
not there to be tried.
"""

from collections.abc import Sequence
from typing import NamedTuple

from appliance.model import UNSAMPLED, Flag
from appliance.queries.bindings import Bindings
from appliance.queries.metrics import Estimate, metric
from appliance.queries.period import Range
from appliance.storage.evaluation import Cell, Rows


class Mark(NamedTuple):
    """`sampled`: a part of what was asked about was sampled out. `loses_visitors`: not all of it visitor by visitor, so
    that some visitors and visits are missing, and nobody knows how many."""

    sampled: bool = False
    loses_visitors: bool = False

    def lower_bounds(self, metrics: Sequence[str]) -> tuple[str, ...]:
        """Which of these metrics are at least what is said."""
        return tuple(name for name in metrics if self.loses_visitors and metric(name).counts_people)


def estimate(cell: Cell) -> int | Estimate:
    """A measure as it stands in an answer: a number, which may be a text, or numbers by rate (weighted.py)."""
    if not isinstance(cell, str):
        assert cell is not None
        return cell
    if cell and ":" not in cell:
        return int(cell)
    by_rate: dict[int, int] = {}
    for part in filter(None, cell.split(",")):
        rate, _, number = part.partition(":")
        by_rate[int(rate)] = int(number)
    return Estimate.of(by_rate)


def select_mark(bindings: Bindings, there: Range | None) -> str:
    """SELECT the mark of a range, None: of all there is."""
    dialect = bindings.dialect
    events = f"SELECT 1 FROM {dialect.table('event')} e WHERE {bindings.event('rate')} <> {UNSAMPLED}"
    visits = f"SELECT 1 FROM {dialect.table('visit')} v WHERE {bindings.visit('rate')} <> {UNSAMPLED}"
    if there is not None:
        start, end = bindings.number(there.start), bindings.number(there.end)
        events += f" AND {bindings.event('time')} >= {start} AND {bindings.event('time')} < {end}"
        visits += f" AND {bindings.visit('end')} >= {start} AND {bindings.visit('start')} < {end}"
    alone = f"({bindings.event('flags')} & {Flag.BY_VISITOR.value}) = 0"
    return (
        f"SELECT CASE WHEN EXISTS ({events}) OR EXISTS ({visits}) THEN 1 ELSE 0 END,"
        f" CASE WHEN EXISTS ({events} AND {alone}) THEN 1 ELSE 0 END"
    )


def mark(rows: Rows) -> Mark:
    """The answer to `select_mark`."""
    ((sampled, loses_visitors),) = rows
    return Mark(sampled == 1, loses_visitors == 1)
