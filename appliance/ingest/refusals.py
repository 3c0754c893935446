"""What was not taken and why: counted by reason, the newest kept for a look, shown in the live feed. No addresses."""

from collections import Counter, deque
from typing import Any, Final

import msgspec

from appliance.broadcast import Broadcast
from appliance.clock import HOUR, MINUTE

KEPT_PER_PROJECT = 10_000
KEPT_FOR = 48 * HOUR
UNKNOWN_PROJECT = 0  # refusals that name no project of ours
# What an operator has set, and comes in floods: one of them is shown a minute, with the number of all.
TOGETHER: Final = frozenset(("rate_limited", "quota", "sampled", "source_off"))
TOGETHER_FOR = MINUTE


class Refusal(msgspec.Struct, gc=False):
    """One event that was filtered (`verdict` 'dropped') or refused because it is wrong ('rejected'); it stands for
    `times` such."""

    at: int
    verdict: str
    reason: str
    message: str
    name: str
    page: str
    dialect: str
    times: int = 1


class Refusals:
    """The refusals of all projects; `notices` receives each."""

    def __init__(self, notices: Broadcast[Any]) -> None:
        self._notices = notices
        self._kept: dict[int, deque[Refusal]] = {}
        self._together: dict[tuple[int, str], Refusal] = {}  # the one that stands for those that come now
        self.counts: Counter[tuple[int, str]] = Counter()  # by (project, reason), since start

    def add(self, project_id: int, refusal: Refusal) -> None:
        key = (project_id, refusal.reason)
        self.counts[key] += 1
        if refusal.reason in TOGETHER:
            shown = self._together.get(key)
            if shown is not None and refusal.at < shown.at + TOGETHER_FOR:
                shown.times += 1
                return
            self._together[key] = refusal
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
