"""What was not taken and why: counted by reason, the newest kept for a look, shown in the live feed. No addresses.

Of what was filtered the event itself is kept as well, as the journal would have had it, so that it can be let in later.
All of it is memory of this process, and bounded: entries for each project, entries and bytes over all projects. The
oldest go first; an entry may outlive its event, and then says so. Of what comes in floods one entry stands for many.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any, Final, NamedTuple

import msgspec

from appliance.broadcast import Broadcast
from appliance.clock import HOUR, MINUTE

KEPT_PER_PROJECT = 10_000
KEPT_IN_ALL = 30_000  # some 14 MB, with texts as long as they get 30
KEPT_EVENTS_BYTES_MAX = 12 << 20
KEPT_FOR = 48 * HOUR
UNKNOWN_PROJECT = 0  # refusals that name no project of ours
# What an operator has set, and comes in floods: one of them is shown a minute, with the number of all.
TOGETHER: Final = frozenset(("rate_limited", "quota", "sampled", "source_off"))
TOGETHER_FOR = MINUTE

_EVENT_OVERHEAD_BYTES = 200  # of an entry in the table of kept events


class Refusal(msgspec.Struct, gc=False):
    """One event that was filtered (`verdict` 'dropped') or refused because it is wrong ('rejected'); it stands for
    `times` such.

    `rule` is the id of the project's own rule that filtered it, 0 for none; `number` is its own, ascending. `kept`: its
    event was kept, to be let in; `let_in`: it was let in.
    """

    at: int
    verdict: str
    reason: str
    message: str
    name: str
    page: str
    dialect: str
    times: int = 1
    rule: int = 0
    number: int = 0
    kept: bool = False
    let_in: bool = False


class Wanted(NamedTuple):
    """Which refusals are looked for: those of a reason, of a rule, with a text in name, page or message (in any case),
    and none newer than a number. '' and 0 stand for all."""

    reason: str = ""
    rule: int = 0
    text: str = ""
    newest: int = 0

    def holds(self, refusal: Refusal) -> bool:
        if (self.reason and refusal.reason != self.reason) or (self.rule and refusal.rule != self.rule):
            return False
        if self.newest and refusal.number > self.newest:
            return False
        text = self.text.casefold()
        return not text or any(text in part.casefold() for part in (refusal.name, refusal.page, refusal.message))


ALL = Wanted()


class Refusals:
    """The refusals of all projects; `notices` receives each."""

    def __init__(self, notices: Broadcast[Any]) -> None:
        self._notices = notices
        self._numbers = count(1)
        self._entries: OrderedDict[int, tuple[int, Refusal]] = OrderedDict()  # project, refusal; oldest first
        self._of_project: dict[int, deque[int]] = {}
        self._together: dict[tuple[int, str], Refusal] = {}  # the one that stands for those that come now
        self._events: OrderedDict[int, bytes] = OrderedDict()
        self.events_bytes = 0
        self.counts: Counter[tuple[int, str]] = Counter()  # by (project, reason), since start

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, project_id: int, refusal: Refusal, event: bytes = b"") -> None:
        """Keep a refusal; `event` is what letting it in would journal, b'' where it cannot be let in."""
        key = (project_id, refusal.reason)
        self.counts[key] += 1
        if refusal.reason in TOGETHER:
            shown = self._together.get(key)
            if shown is not None and refusal.at < shown.at + TOGETHER_FOR:
                shown.times += 1
                return
            self._together[key] = refusal
        number = refusal.number = next(self._numbers)
        if len(self._entries) >= KEPT_IN_ALL:
            self._forget_oldest()
        numbers = self._of_project.get(project_id)
        if numbers is None:
            numbers = self._of_project[project_id] = deque()
        elif len(numbers) >= KEPT_PER_PROJECT:
            self._forget(numbers.popleft())
        numbers.append(number)
        self._entries[number] = project_id, refusal
        if event:
            refusal.kept = True
            self._events[number] = event
            self.events_bytes += len(event) + _EVENT_OVERHEAD_BYTES
            while self.events_bytes > KEPT_EVENTS_BYTES_MAX:
                self._forget_event(next(iter(self._events)))
        self._notices.publish(project_id, refusal)

    def expire(self, now: int) -> None:
        """Forget what is older than 48 hours. To be called every now and then."""
        while self._entries and next(iter(self._entries.values()))[1].at < now - KEPT_FOR:
            self._forget_oldest()

    def newest(self, project_id: int, now: int, limit: int = 100, wanted: Wanted = ALL) -> list[Refusal]:
        """The newest refusals of the last 48 hours, newest first."""
        return list(islice(self.every(project_id, now, wanted), limit))

    def every(self, project_id: int, now: int, wanted: Wanted = ALL) -> Iterator[Refusal]:
        """All of them, newest first."""
        for number in reversed(self._of_project.get(project_id, ())):
            refusal = self._entries[number][1]
            if refusal.at < now - KEPT_FOR:
                return
            if wanted.holds(refusal):
                yield refusal

    def has_event(self, refusal: Refusal) -> bool:
        """Whether what was refused is still there to be let in."""
        return refusal.number in self._events

    def take_events(self, refusals: Iterable[Refusal]) -> dict[int, bytes]:
        """Take out the events of these refusals, as far as they are still there, by number, oldest first. They are
        taken once; `give_back` those that could not be let in."""
        numbers = sorted(refusal.number for refusal in refusals if refusal.number in self._events)
        taken = {number: self._events[number] for number in numbers}
        for number in numbers:
            self._forget_event(number)
            self._entries[number][1].let_in = True
        return taken

    def give_back(self, events: dict[int, bytes]) -> None:
        for number, event in events.items():
            if number in self._entries:
                self._entries[number][1].let_in = False
                self._events[number] = event
                self.events_bytes += len(event) + _EVENT_OVERHEAD_BYTES

    def _forget(self, number: int) -> None:
        del self._entries[number]
        self._forget_event(number)

    def _forget_oldest(self) -> None:
        number, (project_id, _) = self._entries.popitem(last=False)
        self._forget_event(number)
        numbers = self._of_project[project_id]
        numbers.popleft()  # the oldest of all is the oldest of its project
        if not numbers:
            del self._of_project[project_id]

    def _forget_event(self, number: int) -> None:
        event = self._events.pop(number, None)
        if event is not None:
            self.events_bytes -= len(event) + _EVENT_OVERHEAD_BYTES
