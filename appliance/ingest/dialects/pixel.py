"""The pixel for pages without JavaScript: `GET /pixel.gif?key=…` answers with an invisible image.

    <noscript><img src="https://HOST/pixel.gif?key=sa_…" alt="" referrerpolicy="no-referrer-when-downgrade"></noscript>

The page is the `url` parameter, else the Referer header; `referrer`, `title`, `event` may be given. Refusals answer
with the image too, because a broken image would show; the reason stands in X-Appliance-Dropped.
"""

from appliance.errors import ApplianceError, Invalid
from appliance.ingest.answers import Answer, problem, reason_header
from appliance.ingest.arrival import Arrival
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded, Sent

PATHS = ("/pixel.gif",)
METHODS = ("GET",)

# The smallest transparent GIF (GIF89a, 1 x 1), 43 bytes.
IMAGE = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
assert len(IMAGE) == 43


def decode(arrival: Arrival) -> Decoded:
    """One event of a request's query. Raises Invalid when it says of no page."""
    query = arrival.query()
    url = query.get("url") or arrival.header(b"referer")
    if not url:
        raise Invalid("url is missing, and the browser sent no Referer", code="missing", field="url")
    sent = Sent(
        event=query.get("event") or "pageview",
        url=url,
        title=query.get("title"),
        referrer=query.get("referrer"),
        event_id=query.get("event_id"),
    )
    return Decoded(
        [sent],
        True,
        key=query.get("key", ""),
        project=query.get("project", ""),
        domain=query.get("domain", ""),
        browser=True,
    )


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """The image, whatever became of the event."""
    return _image(*outcome.reasons)


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """The image for what the page cannot mend by itself; a real error when the appliance is at fault."""
    return problem(error) if error.status >= 500 else _image(error.code)


def _image(*reasons: str) -> Answer:
    return Answer(200, IMAGE, [(b"content-type", b"image/gif"), *reason_header(*reasons)])
