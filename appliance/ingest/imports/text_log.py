"""Access logs of web servers as text: combined (Apache, nginx) and common, with or without a virtual host."""

import re
from typing import Final

from appliance.ingest.geo import plain_address
from appliance.ingest.imports.format import Context, Format, Head, Reader
from appliance.ingest.imports.hits import Hit, dash, host_of_url, log_time, page_view, split_request, unescaped
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent

_TEXT: Final = r'"((?:[^"\\]|\\.)*)"'
_COMMON: Final = re.compile(rf"(\S+(?: [^\[]*)?) \[([^\]]+)\] {_TEXT} (\d{{3}}|-) (\d+|-)")
_REST: Final = re.compile(rf" {_TEXT} {_TEXT}")


def _parts(line: str) -> tuple[re.Match[str], re.Match[str] | None] | None:
    common = _COMMON.match(line)
    return None if common is None else (common, _REST.match(line, common.end()))


def _is_combined(head: Head) -> bool:
    return any(parts is not None and parts[1] is not None for parts in map(_parts, head.lines[:20]))


def _is_common(head: Head) -> bool:
    return any(parts is not None for parts in map(_parts, head.lines[:20]))


def _has_hosts(head: Head) -> bool:
    """Whether the virtual host stands before the address."""
    fronts = [parts[0][1].split(" ") for line in head.lines[:50] if (parts := _parts(line)) is not None]
    return bool(fronts) and all(
        len(front) > 3 and not plain_address(front[0]) and plain_address(front[1]) for front in fronts
    )


def _combined(head: Head, context: Context) -> Reader:
    return _reader(head, context, combined=True)


def _common(head: Head, context: Context) -> Reader:
    return _reader(head, context, combined=False)


def _reader(head: Head, context: Context, *, combined: bool) -> Reader:
    place, own = int(_has_hosts(head)), context.host

    def read(line: str) -> Sent:
        common = _COMMON.match(line)
        rest = _REST.match(line, common.end()) if common is not None and combined else None
        if common is None or (combined and rest is None):
            raise Rejected("malformed_line", "", "no line of an access log")
        front, time, request, status, _ = common.groups()
        method, target = split_request(unescaped(request))
        where = front.split(" ", place + 1)
        if len(where) <= place:
            raise Rejected("malformed_line", "", "the line has no address")
        host = where[0].partition(":")[0] if place else ""
        referrer, agent = rest.groups() if rest is not None else ("", "")
        return page_view(
            Hit(
                log_time(time),
                where[place],
                method,
                host or host_of_url(target),
                target,
                int(status) if status != "-" else 0,
                dash(unescaped(referrer)),
                dash(unescaped(agent)),
            ),
            own,
        )

    return read


COMBINED: Final = Format("combined", "access log of Apache, nginx and others", "line", _is_combined, _combined)
COMMON: Final = Format("common", "access log without referrer and agent", "line", _is_common, _common)
