"""Access logs of AWS application load balancers: blanks between columns, texts in quotes."""

import re
from typing import Final

from appliance.ingest.imports.format import Context, Format, Head, Reader
from appliance.ingest.imports.hits import (
    Hit,
    dash,
    host_of_url,
    iso_time,
    page_view,
    split_request,
    status_of,
    unescaped,
)
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent

_CELLS: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_BEGINNING: Final = re.compile(r"(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT\S+ \S+ \S+:\d+ ")
_TIME, _CLIENT, _STATUS, _REQUEST, _AGENT, _DOMAIN = 1, 3, 8, 12, 13, 18


def _recognises(head: Head) -> bool:
    return any(_BEGINNING.match(line) for line in head.lines[:20])


def _reader(head: Head, context: Context) -> Reader:
    own = context.host

    def read(line: str) -> Sent:
        cells = [quoted or plain for quoted, plain in _CELLS.findall(line)]
        if len(cells) <= _AGENT:
            raise Rejected("malformed_line", "", "the line has too few columns")
        method, target = split_request(unescaped(cells[_REQUEST]))
        return page_view(
            Hit(
                iso_time(cells[_TIME]),
                cells[_CLIENT].rpartition(":")[0],
                method,
                host_of_url(target) or (dash(cells[_DOMAIN]) if len(cells) > _DOMAIN else ""),
                target,
                status_of(cells[_STATUS]),
                "",
                dash(unescaped(cells[_AGENT])),
            ),
            own,
        )

    return read


FORMAT: Final = Format("alb", "access log of an AWS application load balancer", "line", _recognises, _reader)
