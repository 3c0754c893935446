"""A dimension's values, searched, ordered and cut into pages: what the details, their CSV and the filter form ask.

Values that are shown by a name (countries, languages) are searched and ordered by that name, which the engine does
not know; there are few of them, so all are asked for and the rest is done here. So it is with goals, of which also
those are listed that nobody reached.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

from appliance.errors import Invalid
from appliance.queries import conversions
from appliance.queries.question import LIMIT_MAX, Order, Scope
from appliance.queries.reports import Reports
from appliance.queries.results import Row
from appliance.web import cards, labels

BY_VALUE: Final = "value"  # the column of the values themselves
PAGE_ROWS: Final = 50
PAGES_MAX: Final = 1_000_000


class Wanted(NamedTuple):
    """A list as a URL asks for it. `sort` is a metric of the list or BY_VALUE; `page` counts from 1."""

    dimension: str
    search: str
    sort: str
    descending: bool
    page: int = 1

    @property
    def order(self) -> Order:
        return Order(self.dimension if self.sort == BY_VALUE else self.sort, self.descending)


class Page(NamedTuple):
    """Rows of a list, and how many it has in all; `sampled`: their figures are estimates, `imported`: those of another
    product are in them."""

    rows: tuple[Row, ...]
    total: int
    sampled: bool = False
    imported: bool = False


def wanted(dimension: str, query: Mapping[str, str]) -> Wanted:
    """Read a URL's parameters. Raises Invalid with status 400, naming the parameter."""
    metrics = cards.details_metrics(dimension)
    sort = query.get("sort") or metrics[0]
    if sort not in (*metrics, BY_VALUE):
        raise _bad(f"{sort!r} is not a column; use one of {', '.join((BY_VALUE, *metrics))}", "sort")
    direction = query.get("dir") or ("asc" if sort == BY_VALUE else "desc")
    if direction not in ("asc", "desc"):
        raise _bad("dir is asc or desc", "dir")
    number = query.get("page") or "1"
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= PAGES_MAX):
        raise _bad("a page is a number from 1", "page")
    return Wanted(dimension, query.get("search", "").strip(), sort, direction == "desc", int(number[:9]))


async def ask(reports: Reports, scope: Scope, asked: Wanted, rows: int = PAGE_ROWS) -> Page:
    """One page of a list. Raises Unavailable."""
    offset = (asked.page - 1) * rows
    if asked.dimension == cards.GOALS:
        goals, sampled = await _goals(reports, scope, asked)
        reached = [row for row in goals if _holds(asked, row)]
        return Page(tuple(reached[offset : offset + rows]), len(reached), sampled)
    if not labels.is_named(asked.dimension):
        report = cards.details_report(asked.dimension, asked.order, asked.search, rows, offset)
        table = await reports.answer(scope, report)
        return Page(table.rows, table.total_rows or 0, table.sampled, table.imported)
    table = await reports.answer(scope, cards.details_report(asked.dimension, asked.order, "", LIMIT_MAX, 0))
    found = [row for row in table.rows if _holds(asked, row)]
    if asked.sort == BY_VALUE:
        found.sort(key=lambda row: labels.label(asked.dimension, row.labels[0]), reverse=asked.descending)
    return Page(tuple(found[offset : offset + rows]), len(found), table.sampled, table.imported)


async def every(reports: Reports, scope: Scope, asked: Wanted) -> AsyncIterator[Page]:
    """All rows of a list in long pages, at least one."""
    number, seen = 1, 0
    while True:
        found = await ask(reports, scope, asked._replace(page=number), LIMIT_MAX)
        yield found
        seen += len(found.rows)
        if not found.rows or seen >= found.total:
            return
        number += 1


async def _goals(reports: Reports, scope: Scope, asked: Wanted) -> tuple[tuple[Row, ...], bool]:
    """Every goal of the scope in the order that is asked for, and whether their figures are estimates."""
    ((table, whole),) = await reports.ask([(scope, [conversions.report(asked.order), conversions.WHOLE])])
    anybody = whole.rows[0].values[0] is not None
    return conversions.complete(table, scope.goals, asked.order, anybody=anybody), table.sampled


def _holds(asked: Wanted, row: Row) -> bool:
    text = asked.search.casefold()
    value = row.labels[0]
    return text in labels.label(asked.dimension, value).casefold() or text == value.casefold()


def _bad(message: str, parameter: str) -> Invalid:
    return Invalid(message, code="invalid_parameter", field=parameter, status=400)
