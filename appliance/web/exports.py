"""An export as a streamed answer: the same file from the page and from the API."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from appliance import clock
from appliance.errors import Invalid
from appliance.model import Project
from appliance.queries import export, period
from appliance.queries.tabular import csv_bytes, ndjson_bytes
from appliance.storage.interface import Database
from appliance.web.attended import reports_of
from appliance.web.downloads import Download
from appliance.web.parts import parts_of

# Each holds a snapshot of the database, and with a file a thread, with a server a connection.
EXPORTS_MAX: Final = 8
PROJECT_EXPORTS_MAX: Final = 3

FORMATS = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}


async def exported(request: Request, project: Project, wanted: Mapping[str, str]) -> Response:
    """The file that `dataset` (events), `format` (csv) and `date_range` (all; a name; two dates with a comma) ask for.

    Raises Invalid naming the field, Busy. Memory does not grow with the size.
    """
    dataset, kind = wanted.get("dataset") or "events", wanted.get("format") or "csv"
    if dataset not in export.DATASETS:
        raise Invalid(f"dataset is one of {', '.join(export.DATASETS)}", field="dataset", code="unknown_dataset")
    if kind not in FORMATS:
        raise Invalid(f"format is one of {', '.join(FORMATS)}", field="format", code="unknown_format")
    there = await _range(request, project, wanted.get("date_range") or "all")
    name = f"{(project.domains or (project.name,))[0]}-{dataset}.{kind}"
    parts, turn = parts_of(request), ExitStack()
    turn.enter_context(parts.exports.one(project.id))
    return Download(_file(parts.db, project, dataset, kind, there), FORMATS[kind], name, turn=turn)


async def _range(request: Request, project: Project, text: str) -> tuple[int, int]:
    if text == "all":
        return 0, 1 << 62
    first, comma, last = text.partition(",")
    try:
        asked = period.between(first, last) if comma else period.named(text)
    except Invalid as error:
        raise Invalid(str(error), field="date_range", code="unknown_range") from None
    scope = await reports_of(request).scope(project, asked, clock.now())
    return scope.range.start, scope.range.end


async def _file(
    database: Database, project: Project, dataset: str, kind: str, there: tuple[int, int]
) -> AsyncGenerator[bytes, None]:
    columns = export.DATASETS[dataset]
    if kind == "csv":
        yield csv_bytes([columns])
    async for batch in export.rows(database, dataset, project.id, *there):
        if kind == "csv":
            yield csv_bytes(batch)
        else:
            yield ndjson_bytes(export.as_object(columns, row) for row in batch)
