"""The last requests on ingest paths and what became of each, for who wonders why nothing arrives. Kept in memory, the
newest of each project, and apart those that name none; neither addresses nor bodies, and of a key its beginning."""

import msgspec

from appliance.clock import MICROSECONDS, MINUTE
from appliance.credentials import PRIVATE_PREFIX, PUBLIC_PREFIX, SHOWN_RANDOM_CHARACTERS
from appliance.errors import ApplianceError
from appliance.ingest.arrival import Arrival
from appliance.ingest.outcome import Outcome

KEPT_PER_PROJECT = 100
SHOWN_FOR = 15 * MINUTE
NOTED_PER_SECOND = 100
MESSAGE_CHARACTERS_MAX = 300
_PUBLIC_SHOWN = len(PUBLIC_PREFIX) + SHOWN_RANDOM_CHARACTERS
_PRIVATE_SHOWN = len(PRIVATE_PREFIX) + SHOWN_RANDOM_CHARACTERS


class SeenRequest(msgspec.Struct, gc=False):
    """One request. `nbytes` of its body, decompressed; `micros` from when it was there as a whole to its answer, the
    wait for the disk included. `code` and `message` say why the first event that was not taken was not."""

    at: int
    dialect: str
    method: str
    path: str
    key: str
    nbytes: int
    status: int
    accepted: int
    duplicates: int
    dropped: int
    rejected: int
    code: str
    message: str
    micros: int


class Pace:
    """How many requests of a project are noted. Of those that were taken whole, nobody reads more than so many a
    second; what went wrong is noted always."""

    def __init__(self) -> None:
        self._second = 0
        self._noted: dict[int, int] = {}  # in that second, by project

    def is_too_fast(self, project_id: int, at: int) -> bool:
        """Whether one that was taken whole, at that time (UTC microseconds), is one too many; it is counted."""
        second = at // MICROSECONDS
        if second != self._second:
            self._second, self._noted = second, {}
        number = self._noted[project_id] = self._noted.get(project_id, 0) + 1
        return number > NOTED_PER_SECOND


def seen(
    arrival: Arrival, dialect: str, status: int, outcome: Outcome | None, error: ApplianceError | None, seconds: float
) -> SeenRequest:
    """A request that is answered after so long. This is done for each one, so it copies what is at hand, no more."""
    accepted = duplicates = dropped = rejected = 0
    code = message = ""
    if outcome is not None:
        accepted, duplicates = outcome.accepted, outcome.duplicates
        if outcome.rejected:
            rejected, first = len(outcome.rejected), outcome.rejected[0]
            code, message = first.code, first.message[:MESSAGE_CHARACTERS_MAX]
        if outcome.dropped:
            dropped, code = len(outcome.dropped), code or outcome.dropped[0].reason
    elif error is not None:
        code, message = error.code, str(error)[:MESSAGE_CHARACTERS_MAX]
    key = arrival.key
    return SeenRequest(
        arrival.received,
        dialect,
        arrival.method,
        arrival.path,
        key[: _PRIVATE_SHOWN if key.startswith(PRIVATE_PREFIX) else _PUBLIC_SHOWN],
        len(arrival.body),
        status,
        accepted,
        duplicates,
        dropped,
        rejected,
        code,
        message,
        int(seconds * 1e6),
    )
