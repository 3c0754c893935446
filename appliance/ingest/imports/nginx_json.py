"""nginx access logs as JSON. The names in a `log_format` are the operator's own; those of nginx's variables, and a few
that guides suggest, are understood."""

from collections.abc import Sequence
from typing import Any, Final

from appliance.ingest.imports.format import Context, Format, Head, Reader
from appliance.ingest.imports.hits import (
    Hit,
    epoch_time,
    host_of_url,
    iso_time,
    json_line,
    log_time,
    page_view,
    split_request,
    status_of,
    text_of,
)
from appliance.ingest.pipeline import Rejected
from appliance.ingest.sent import Sent

_ADDRESS: Final = ("remote_addr", "client_ip", "remote_ip", "client", "ip", "http_x_real_ip")
_HOST: Final = ("host", "http_host", "server_name", "vhost")
_TARGET: Final = ("request_uri", "uri", "url", "path")
_METHOD: Final = ("request_method", "method")
_STATUS: Final = ("status", "status_code", "response_code")
_REFERRER: Final = ("http_referer", "http_referrer", "referer", "referrer")
_AGENT: Final = ("http_user_agent", "user_agent", "agent")
_LANGUAGE: Final = ("http_accept_language", "accept_language")
_TYPE: Final = ("sent_http_content_type", "content_type")
_TIME: Final = ("time_iso8601", "time_local", "msec", "timestamp", "@timestamp", "time", "date", "ts")


def _first(line: dict[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if (value := line.get(name)) not in (None, "", "-"):
            return value
    return ""


def _recognises(head: Head) -> bool:
    line = head.first_object()
    if line is None or not _first(line, _STATUS):
        return False
    return bool(_first(line, _TARGET) or "request" in line) and bool(_first(line, _TIME))


def _time(line: dict[str, Any]) -> int:
    value = _first(line, _TIME)
    if isinstance(value, str):
        if value[3:6].isalpha():
            return log_time(value)
        if "-" in value or "T" in value:
            return iso_time(value)
    if value == "":
        raise Rejected("missing", "", "the line has no time")
    return epoch_time(value)


def _reader(head: Head, context: Context) -> Reader:
    own = context.host

    def read(text: str) -> Sent:
        line = json_line(text)
        method, target = text_of(_first(line, _METHOD)), text_of(_first(line, _TARGET))
        request = line.get("request")
        if isinstance(request, str) and request:
            asked, of_request = split_request(request)
            method, target = method or asked, of_request or target
        arguments = text_of(line.get("args"))
        if arguments and "?" not in target:
            target = f"{target}?{arguments}"
        kind = text_of(_first(line, _TYPE))
        return page_view(
            Hit(
                _time(line),
                text_of(_first(line, _ADDRESS)),
                method,
                text_of(_first(line, _HOST)) or host_of_url(target),
                target,
                status_of(_first(line, _STATUS)),
                text_of(_first(line, _REFERRER)),
                text_of(_first(line, _AGENT)),
                text_of(_first(line, _LANGUAGE)).partition(",")[0].partition(";")[0],
                "html" in kind if kind else None,
            ),
            own,
        )

    return read


FORMAT: Final = Format("nginx-json", "access log of nginx as JSON", "line", _recognises, _reader)
