"""What was not taken and why: counted by reason, the newest kept for a look, shown in the live feed. No addresses."""

from collections import Counter, deque
from typing import Any, NamedTuple

from appliance.broadcast import Broadcast
from appliance.clock import HOUR

KEPT_PER_PROJECT = 10_000
KEPT_FOR = 48 * HOUR
UNKNOWN_PROJECT = 0  # refusals that name no project of ours


class Refusal(NamedTuple):
    """One event that was filtered (`verdict` 'dropped') or refused because it is wrong ('rejected')."""

    at: int
    verdict: str
    reason: str
    message: str
    name: str
    page: str
    dialect: str


class Refusals:
    """The refusals of all projects; `notices` receives each."""

    def __init__(self, notices: Broadcast[Any]) -> None:
        self._notices = notices
        self._kept: dict[int, deque[Refusal]] = {}
        self.counts: Counter[tuple[int, str]] = Counter()  # by (project, reason), since start

    def add(self, project_id: int, refusal: Refusal) -> None:
        self.counts[(project_id, refusal.reason)] += 1
        kept = self._kept.get(project_id)
        if kept is None:
            kept = self._kept[project_id] = deque(maxlen=KEPT_PER_PROJECT)
        while kept and kept[0].at < refusal.at - KEPT_FOR:
            kept.popleft()
        kept.append(refusal)
        self._notices.publish(project_id, refusal)

    def newest(self, project_id: int, now: int, limit: int = 100) -> list[Refusal]:
        """The newest refusals of the last 48 hours, newest first."""
        found: list[Refusal] = []
        for refusal in reversed(self._kept.get(project_id, ())):
            if refusal.at < now - KEPT_FOR or len(found) >= limit:
                break
            found.append(refusal)
        return found
