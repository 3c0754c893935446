"""`POST /api/v2/query`, the Plausible Stats API v2 (PROTOCOLS.md, part 2, section 3): a body in, the answer out.

Who may ask, and how errors are written, is the caller's part: every fault is `Invalid` with status 400 and a pointer.
"""

from typing import Any

import msgspec

from appliance.errors import Invalid, Unauthorized
from appliance.model import Project
from appliance.queries import question
from appliance.queries.filters import conjuncts, to_json
from appliance.queries.localtime import to_aware
from appliance.queries.period import Range
from appliance.queries.question import Query
from appliance.queries.reports import Reports
from appliance.queries.results import Table

_NOT_IMPORTED = "no_imported_data"


async def answer(body: bytes, project: Project, reports: Reports, now: int) -> dict[str, Any]:
    """The answer to one query, ready for JSON. `project` is the key's, `now` in UTC microseconds.

    Raises Invalid (400), Unauthorized when `site_id` names another project, QueryTimeout, StorageUnavailable.
    """
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the body is no JSON: {error}", code="invalid_json", pointer="#", status=400) from None
    query = question.parse(fields)
    if query.site_id is not None and not names_project(query.site_id, project):
        raise Unauthorized(f"the key is not one of site {query.site_id!r}", pointer="#/site_id")
    scope = await reports.scope(project, query.period, now, query.filter)
    try:
        table = await reports.answer(scope, query.report)
    except Invalid as error:
        # What only the range tells: too many buckets.
        raise Invalid(str(error), code=error.code, pointer=error.pointer or "#/dimensions", status=400) from None
    return {
        "results": [{"dimensions": list(row.labels), "metrics": list(row.values)} for row in table.rows],
        "meta": _meta(query, table),
        "query": _echo(query, project, scope.range),
    }


def names_project(site_id: str, project: Project) -> bool:
    """Whether a site id is this project's: its id, or one of its domains, with or without `www.`."""
    return site_id == project.public_id or site_id.lower().removeprefix("www.") in project.domains


def _meta(query: Query, table: Table) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if query.include.imports:
        meta |= {"imports_included": False, "imports_skip_reason": _NOT_IMPORTED}
    if query.include.time_labels:
        meta["time_labels"] = [bucket.label for bucket in table.buckets]
    if query.include.total_rows:
        meta["total_rows"] = table.total_rows
    return meta


def _echo(query: Query, project: Project, there: Range) -> dict[str, Any]:
    report = query.report
    return {
        "site_id": query.site_id or project.public_id,
        "metrics": list(report.metrics),
        "date_range": [to_aware(edge, there.zone).isoformat() for edge in (there.start, there.end)],
        "filters": [to_json(part) for part in conjuncts(query.filter)],
        "dimensions": list(report.dimensions),
        "order_by": [[order.key, "desc" if order.descending else "asc"] for order in report.ordering()],
        "include": msgspec.to_builtins(query.include),
        "pagination": {"limit": report.limit, "offset": report.offset},
    }
