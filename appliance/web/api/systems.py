"""What the answers to readers of systems A, B and C share: numbers and dates in a URL, times, the mark of samples."""

import re
from collections.abc import Mapping
from datetime import UTC, date
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from appliance.errors import Invalid
from appliance.ingest.times import read_time
from appliance.queries.localtime import to_aware
from appliance.queries.period import Dates, parse_date, resolve
from appliance.spelling import spelled

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LATEST = 7_258_118_400_000_000  # 2200, up to when questions go


def number(request: Request, name: str, default: int, low: int, high: int, *, status: int = 422) -> int:
    """A whole number in the query string. Raises Invalid for one that is none, or is not in [low, high]."""
    text = request.query_params.get(name) or str(default)
    # `int` reads digits of all scripts, and takes long for thousands of them.
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        message = f"{name}: {spelled(text)} is not a whole number from {low} to {high}"
        raise Invalid(message, field=name, status=status)
    return int(text)


def day(request: Request, name: str) -> date:
    """An ISO date in the query string. Raises Invalid for one that is missing, or is none."""
    text = request.query_params.get(name)
    if not text:
        raise Invalid(f"{name}: a date such as 2026-01-31 is needed", code="missing", field=name)
    try:
        return parse_date(text)
    except Invalid as error:
        raise Invalid(f"{name}: {error}", field=name) from None


def moments(request: Request, name: str, timezone: str) -> tuple[int, int] | None:
    """An ISO date or time in the query string as UTC microseconds: where the local day begins and ends, or the time
    twice; None without one. A time without an offset is UTC. Raises Invalid (400) for what is neither."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        if _DATE.fullmatch(text):
            there = resolve(Dates(parse_date(text), parse_date(text)), timezone, 0)
            return there.start, there.end
        time = read_time(text)
        if 0 <= time < _LATEST:
            return time, time
    except (Invalid, ValueError):
        pass
    raise Invalid(f"{name}: {spelled(text)} is neither an ISO date nor a time", field=name, status=400)


def iso(time: int) -> str:
    """UTC microseconds in ISO 8601, without a fraction where there is none."""
    return to_aware(time, UTC).isoformat().replace("+00:00", "Z")


def answered(body: Mapping[str, Any] | list[Any], *, sampled: bool = False) -> JSONResponse:
    """An answer, with a header that says so where its figures rest on samples: their formats have no place for it."""
    return JSONResponse(body, headers={"x-sampled": "true"} if sampled else None)
