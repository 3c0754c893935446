"""Counts what is sent with each key, and hands it to the database now and then."""

from appliance.clock import DAY
from appliance.model import Key
from appliance.storage import key_use
from appliance.storage.interface import Database
from appliance.storage.key_use import Use

FLUSH_SECONDS = 30.0


class KeyUses:
    """What was counted since the last `flush`. A crash loses that much of the counts, never an event."""

    def __init__(self) -> None:
        self._counted: dict[tuple[int, int], list[int]] = {}  # by key and day: requests, events, last time

    def add(self, key: Key, events: int, at: int) -> None:
        """A request with that many events, received at that time (UTC microseconds)."""
        place = (key.id, at // DAY)
        counted = self._counted.get(place)
        if counted is None:
            self._counted[place] = [1, events, at]
        else:
            counted[0] += 1
            counted[1] += events
            counted[2] = at

    async def flush(self, database: Database) -> None:
        """Put the counts into the database; where it is away they wait for the next time. Raises StorageUnavailable."""
        taken, self._counted = self._counted, {}
        try:
            await key_use.add(database, {place: Use(*counted) for place, counted in taken.items()})
        except BaseException:
            for place, (requests, events, at) in taken.items():
                counted = self._counted.setdefault(place, [0, 0, at])
                counted[0] += requests
                counted[1] += events
                counted[2] = max(counted[2], at)
            raise
