"""Who a visitor is, without keeping anything that says who.

A rotating id is a keyed hash of project, address and agent under a random salt of the project-local day; when the salt
is deleted, nobody can link the id to an address any more. A persistent id is a keyed hash of project and the id that
the site or its client gave. Both are signed 64-bit integers: BLAKE2b (RFC 7693) with an 8-byte digest.
"""

import secrets
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from zoneinfo import ZoneInfo

from appliance.clock import DAY, HOUR, MICROSECONDS
from appliance.storage.interface import Database

SALT_BYTES = 32
VISITORS_CACHED_MAX = 8192  # a visit asks for the same id at each event
# Local days begin up to 14 hours before and end up to 12 hours after the UTC day of the same name.
_EAST = 14 * HOUR
_WEST = 12 * HOUR


class Salts:
    """The salts of the days that are today or yesterday somewhere on earth, shared by all users of a database."""

    def __init__(self) -> None:
        self._by_day: dict[int, bytes] = {}
        self._minted: dict[int, bytes] = {}  # here, and not shared yet
        self.secret = b""

    def of(self, day: int) -> bytes | None:
        """The salt of a local day (days since 1970), None when it is gone or not made yet."""
        return self._by_day.get(day)

    def mint(self, day: int) -> bytes:
        """A salt for a day that has none, because the clock has jumped or the database was long away: `refresh` shares
        it, unless somebody has shared another one. Without any, an id would be a hash that whoever tries all addresses
        can turn back."""
        salt = self._by_day[day] = self._minted[day] = secrets.token_bytes(SALT_BYTES)
        return salt

    async def refresh(self, database: Database, now: int) -> None:
        """Make the salts that are needed from now on, delete those past, and read what all share.

        To be called at start and at least every hour: tomorrow's salt is there before anybody has tomorrow.
        """
        newest = (now + _EAST + 2 * HOUR) // DAY
        oldest = (now - _WEST) // DAY - 1
        statements: list[tuple[str, dict[str, object]]] = [
            ("DELETE FROM salt WHERE day < :oldest", {"oldest": oldest}),
            (
                "INSERT INTO secret (name, value) VALUES ('visitor', :value) ON CONFLICT DO NOTHING",
                {"value": secrets.token_bytes(SALT_BYTES)},
            ),
        ]
        statements += [
            (
                "INSERT INTO salt (day, value) VALUES (:day, :value) ON CONFLICT DO NOTHING",
                {"day": day, "value": self._minted.get(day) or secrets.token_bytes(SALT_BYTES)},
            )
            for day in range(oldest, newest + 1)
        ]
        missing = set(range(oldest, newest + 1)) - self._by_day.keys()
        if missing or self._minted or not self.secret:
            await database.write_all(statements)
        elif any(day < oldest for day in self._by_day):
            await database.write_all(statements[:1])
            rotating.cache_clear()  # its keys hold the salts
        self._minted.clear()
        self._by_day = {day: bytes(value) for day, value in await database.read("SELECT day, value FROM salt")}
        ((value,),) = await database.read("SELECT value FROM secret WHERE name = 'visitor'")
        self.secret = bytes(value)


@lru_cache(VISITORS_CACHED_MAX)
def rotating(salt: bytes, project_id: int, address: str, agent: str) -> int:
    """The id of whoever comes from that address with that agent while the salt lasts."""
    digest = blake2b(f"{project_id}\0{address}\0{agent}".encode("utf-8", "replace"), digest_size=8, key=salt).digest()
    return int.from_bytes(digest, "big", signed=True)


def persistent(secret: bytes, project_id: int, kind: str, identity: str) -> int:
    """The id of a user (`kind` 'user') or of a client that keeps an anonymous id ('anonymous')."""
    digest = blake2b(f"{project_id}\0{kind}\0{identity}".encode("utf-8", "replace"), digest_size=8, key=secret).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(maxsize=4096)
def _local_hour(timezone: str, utc_quarter: int) -> tuple[int, int]:
    """Local day, and microseconds since its midnight, of the quarter hour that starts at that UTC time."""
    moment = datetime.fromtimestamp(utc_quarter * 900, UTC).astimezone(ZoneInfo(timezone))
    midnight = datetime(moment.year, moment.month, moment.day, tzinfo=moment.tzinfo)
    # Differences within one zone ignore its offset changes; in UTC they do not.
    since = moment.astimezone(UTC) - midnight.astimezone(UTC)
    return moment.toordinal() - 719_163, since // timedelta(microseconds=1)


def local_day(timezone: str, time: int) -> tuple[int, int]:
    """(days since 1970, microseconds since local midnight) of a UTC time in that zone.

    Offsets change only at quarter hours, so the answer for a quarter holds for all of it.
    """
    quarter, rest = divmod(time, 900 * MICROSECONDS)
    day, since = _local_hour(timezone, quarter)
    return day, since + rest
