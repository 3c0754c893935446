"""Event ids as they are stored: small for the forms that are common, and always given back exactly as they were sent.

form                          stored as                     length
our own, 14 base 36 digits    bytes: 6 ms, 4 random         10 bytes, time-ordered
UUID, lower case, 4 hyphens   bytes                         16 bytes
anything else                 text                          as sent

Names of page views (ingest/page_names.py) are UUIDs whose first 4 bytes are a day.

Our own form is 8 digits of milliseconds since 1970 and 6 digits of chance (36^6 > 2^31); minted by the tracker and,
for events that come without an id, by the server. Being time-ordered keeps the deduplication table's writes together.
"""

import random
import re
import uuid
from functools import lru_cache

_OWN = re.compile(r"[0-9a-z]{14}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_NO_NAME_BEFORE = 18_000  # days: in April 2019
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]
_TRIPLES = [pair + c for pair in _PAIRS for c in _DIGITS]
_bits = random.Random().getrandbits  # seeded by the operating system; ids are unique, not secret


@lru_cache(maxsize=64)
def _time_digits(milliseconds: int) -> str:
    high, low = divmod(milliseconds, 36**3)
    higher, high = divmod(high, 36**3)
    return f"{_TRIPLES[higher][1:]}{_TRIPLES[high]}{_TRIPLES[low]}"


def _chance_digits(number: int) -> str:
    # Of pairs, because the list of triples does not fit into the caches of a CPU.
    high, low = divmod(number, 36**2)
    higher, high = divmod(high, 36**2)
    return _PAIRS[higher] + _PAIRS[high] + _PAIRS[low]


def mint(milliseconds: int) -> str:
    """A new id of our own form for that time (ms since 1970, up to the year 2059)."""
    return _time_digits(milliseconds) + _chance_digits(_bits(31))


def minted_at(event_id: str) -> int | None:
    """The time in an id of our own form (ms since 1970); None for other ids."""
    if len(event_id) == 14 and _OWN.fullmatch(event_id):
        return int(event_id[:8], 36)
    return None


def pack(event_id: str) -> bytes | str:
    """The stored form of an id."""
    if len(event_id) == 14 and _OWN.fullmatch(event_id):
        return int(event_id[:8], 36).to_bytes(6, "big") + int(event_id[8:], 36).to_bytes(4, "big")
    if len(event_id) == 36 and _UUID.fullmatch(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    return event_id


def unpack(stored: bytes | str) -> str:
    """The id as it was sent, from what `pack` or `as_bytes` gave."""
    if isinstance(stored, str):
        return stored
    if len(stored) not in (10, 16):
        return stored.rstrip(b"\0").decode()
    if len(stored) == 10:
        return _time_digits(int.from_bytes(stored[:6], "big")) + _chance_digits(int.from_bytes(stored[6:], "big"))
    return str(uuid.UUID(bytes=stored))


def as_bytes(packed: bytes | str) -> bytes:
    """What `pack` gave for a column that holds bytes alone: a text as UTF-8, with one or two NULs behind it, so that it
    is never as long as the other forms."""
    if isinstance(packed, bytes):
        return packed
    text = packed.encode() + b"\0"
    return text + b"\0" if len(text) in (10, 16) else text


def names_before(day: int) -> tuple[bytes, bytes]:
    """Names of page views of days before one (days since 1970) are 16 bytes and lie between these, the second excluded.
    What lies before the first are UUIDs that people write by hand."""
    return _NO_NAME_BEFORE.to_bytes(4, "big"), max(day, _NO_NAME_BEFORE).to_bytes(4, "big")


def from_bytes(stored: bytes) -> bytes | str:
    """What `pack` gave, from what `as_bytes` made of it."""
    if len(stored) in (10, 16) or not stored:
        return stored
    return stored.rstrip(b"\0").decode()
