"""Caddy's access log, which is JSON."""

from typing import Any, Final

from appliance.ingest.imports.format import Context, Format, Head, Reader
from appliance.ingest.imports.hits import Hit, epoch_time, iso_time, json_line, page_view, status_of, text_of
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent


def _recognises(head: Head) -> bool:
    line = head.first_object()
    request = line.get("request") if line is not None else None
    return isinstance(request, dict) and "uri" in request


def _header(headers: Any, name: str) -> str:
    values = headers.get(name) if isinstance(headers, dict) else None
    return text_of(values[0]) if isinstance(values, list) and values else ""


def _reader(head: Head, context: Context) -> Reader:
    own = context.host

    def read(text: str) -> Sent | None:
        line = json_line(text)
        request = line.get("request")
        if not isinstance(request, dict) or "status" not in line:
            return None  # Caddy writes other things into the same log
        time = line.get("ts")
        if time is None:
            raise Rejected("missing", "", "the line has no time")
        headers = request.get("headers")
        # client_ip is what Caddy takes the address for behind trusted proxies; once remote_addr had a port.
        address = text_of(request.get("client_ip") or request.get("remote_ip"))
        address = address or text_of(request.get("remote_addr")).rpartition(":")[0]
        kind = _header(line.get("resp_headers"), "Content-Type")
        return page_view(
            Hit(
                iso_time(time) if isinstance(time, str) else epoch_time(time),
                address,
                text_of(request.get("method")),
                text_of(request.get("host")),
                text_of(request.get("uri")),
                status_of(line.get("status")),
                _header(headers, "Referer"),
                _header(headers, "User-Agent"),
                _header(headers, "Accept-Language").partition(",")[0].partition(";")[0],
                "html" in kind if kind else None,
            ),
            own,
        )

    return read


FORMAT: Final = Format("caddy", "access log of Caddy", "line", _recognises, _reader)
