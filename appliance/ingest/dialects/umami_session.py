"""What Umami's clients are told of session and visit, and the token that they send back.

The ids are derived from who the visitor is anyway, so a token decides nothing about what is stored. It says since when
the visit runs and when it was last heard of, and holds only for the visitor to whom it was given: whoever sends another
one's token is answered as if there were none. Nothing in it is secret.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from appliance.clock import MICROSECONDS
from appliance.model import Event

VISIT_SECONDS = 1800
SESSIONS_CACHED_MAX = 8192
_TOKEN_CHARACTERS_MAX = 64


class Session(NamedTuple):
    """`session` and `visit` are UUIDs, `token` is for the next request."""

    session: str
    visit: str
    token: str


def session_of(event: Event, token: str) -> Session:
    """The session and visit of an event. A visit goes on for half an hour after the token was given; without a token it
    begins with the half hour."""
    now = event.time // MICROSECONDS
    session = _uuid(f"{event.project_id} {event.visitor}")
    began = _began(session, now, token) if token else None
    if began is None:
        began = now - now % VISIT_SECONDS
    return Session(session, _uuid(f"{session} {began}"), f"{session}.{began}.{now}")


def _began(session: str, now: int, token: str) -> int | None:
    """When the visit of a token began (seconds since 1970), None where it holds no more or not here."""
    of, _, times = token[:_TOKEN_CHARACTERS_MAX].partition(".")
    began, _, given = times.partition(".")
    if of != session or not (began.isascii() and began.isdigit() and given.isascii() and given.isdigit()):
        return None
    return int(began) if int(began) <= int(given) <= now <= int(given) + VISIT_SECONDS else None


@lru_cache(SESSIONS_CACHED_MAX)
def _uuid(text: str) -> str:
    """A UUID of version 8 (RFC 9562) that stands for a text."""
    digits = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
