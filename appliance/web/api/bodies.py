"""The body of a request to an API: read within a bound, gzip or not."""

from starlette.requests import ClientDisconnect, Request

from appliance.errors import AskerGone, TooLarge
from appliance.ingest.arrival import plain_body


async def read(request: Request, bytes_max: int) -> bytes:
    """The body, decompressed; it and what was sent are no larger than `bytes_max`. Raises TooLarge, Invalid (400; 415
    for an encoding that is not understood)."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > bytes_max:
                raise TooLarge(f"the body is larger than {bytes_max} bytes", code="body_too_large")
    except ClientDisconnect:
        raise AskerGone from None
    return plain_body(b"".join(parts), request.headers.get("content-encoding", ""), bytes_max)
