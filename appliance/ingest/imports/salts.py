"""An import's own salts, one a day, by which visitors without a name are told apart (SEMANTICS, Identity)."""

import secrets
from collections.abc import Mapping

from appliance.ingest.visitor import SALT_BYTES, Salts


class ImportSalts(Salts):
    """Makes the salt of a day when it is first asked for. What was made is stored with the events that rest on it."""

    def __init__(self, secret: bytes, stored: Mapping[int, bytes]) -> None:
        super().__init__()
        self.secret = secret
        self._by_day = dict(stored)
        self._made: list[tuple[int, bytes]] = []

    def of(self, day: int) -> bytes:
        salt = self._by_day.get(day)
        if salt is None:
            salt = self._by_day[day] = secrets.token_bytes(SALT_BYTES)
            self._made.append((day, salt))
        return salt

    def take_made(self) -> list[tuple[int, bytes]]:
        """The salts that were made since this was last asked."""
        made, self._made = self._made, []
        return made

    def forget(self, before_day: int) -> None:
        """Drop salts of days before."""
        self._by_day = {day: salt for day, salt in self._by_day.items() if day >= before_day}
