"""What the answers to readers of systems A, B and C share: numbers and dates in a URL, times, the mark of samples."""

from collections.abc import Mapping
from datetime import UTC, date
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from appliance.errors import Invalid
from appliance.queries.localtime import to_aware
from appliance.queries.period import parse_date
from appliance.spelling import spelled


def number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number in the query string. Raises Invalid for one that is none, or is not in [low, high]."""
    text = request.query_params.get(name) or str(default)
    # `int` reads digits of all scripts, and takes long for thousands of them.
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise Invalid(f"{name}: {spelled(text)} is not a whole number from {low} to {high}", field=name)
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


def iso(time: int) -> str:
    """UTC microseconds in ISO 8601, without a fraction where there is none."""
    return to_aware(time, UTC).isoformat().replace("+00:00", "Z")


def answered(body: Mapping[str, Any] | list[Any], *, sampled: bool = False) -> JSONResponse:
    """An answer, with a header that says so where its figures rest on samples: their formats have no place for it."""
    return JSONResponse(body, headers={"x-sampled": "true"} if sampled else None)
