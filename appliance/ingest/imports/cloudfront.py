"""Standard access logs of CloudFront (W3C extended): tabs between columns that a line of the file names."""

from typing import Final
from urllib.parse import unquote

from appliance.ingest.imports.format import Context, Format, Head, Reader
from appliance.ingest.imports.hits import Hit, dash, iso_time, page_view, status_of
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent

_FIELDS: Final = "#Fields:"
_NEEDED: Final = ("date", "time", "c-ip", "cs-method", "cs-uri-stem", "sc-status")


def _columns(line: str) -> dict[str, int]:
    return {name: place for place, name in enumerate(line.removeprefix(_FIELDS).split())}


def _recognises(head: Head) -> bool:
    return any(line.startswith(_FIELDS) and "cs-uri-stem" in line for line in head.lines[:5])


def _plain(text: str) -> str:
    """A cell decoded; CloudFront encodes blanks, and what was encoded already once more."""
    if "%" not in text:
        return text
    text = unquote(text)
    return unquote(text) if "%20" in text else text


def _reader(head: Head, context: Context) -> Reader:
    own = context.host
    columns: dict[str, int] = {}
    for line in head.lines[:5]:
        if line.startswith(_FIELDS):
            columns = _columns(line)

    def read(line: str) -> Sent | None:
        nonlocal columns
        if line.startswith("#"):
            if line.startswith(_FIELDS):
                columns = _columns(line)
            return None
        cells = line.split("\t")
        try:
            date, time, address, method, stem, status = (cells[columns[name]] for name in _NEEDED)
        except (KeyError, IndexError):
            raise Rejected("malformed_line", "", "the line lacks columns that #Fields names") from None

        def cell(name: str) -> str:
            place = columns.get(name, len(cells))
            return dash(cells[place]) if place < len(cells) else ""

        query = cell("cs-uri-query")
        return page_view(
            Hit(
                iso_time(f"{date}T{time}"),
                address,
                method,
                cell("x-host-header") or cell("cs(Host)"),
                f"{stem}?{query}" if query else stem,
                status_of(status),
                _plain(cell("cs(Referer)")),
                _plain(cell("cs(User-Agent)")),
            ),
            own,
        )

    return read


FORMAT: Final = Format("cloudfront", "access log of CloudFront", "line", _recognises, _reader)
