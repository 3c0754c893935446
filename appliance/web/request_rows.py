"""Requests on ingest paths as the lines of a page."""

from appliance import clock
from appliance.ingest.seen_requests import SHOWN_FOR, SeenRequest
from appliance.web.parts import Parts
from appliance.web.shell import moment
from appliance.web.views_requests import RequestRow


def newest(parts: Parts, project_id: int, zone: str) -> tuple[RequestRow, ...]:
    """Those of the last minutes, newest first."""
    since = clock.now() - SHOWN_FOR
    return tuple(row(seen, zone) for seen in parts.requests_seen.kept(project_id) if seen.at > since)


def row(seen: SeenRequest, zone: str) -> RequestRow:
    return RequestRow(
        at=moment(seen.at, zone),
        status=seen.status,
        method=seen.method,
        path=seen.path,
        dialect=seen.dialect,
        key=seen.key,
        nbytes=seen.nbytes,
        accepted=seen.accepted,
        duplicates=seen.duplicates,
        dropped=seen.dropped,
        rejected=seen.rejected,
        code=seen.code,
        message=seen.message,
        milliseconds=seen.micros / 1000,
    )
