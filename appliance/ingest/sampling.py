"""Which events are kept, where a project does not want all of them.

A project has a strategy, a source may have another, and rules on the names of events go over both: the last rule that
matches wins. What an event says itself (`sample`) goes over all.

Nothing is thrown like dice. Each decision is a number that follows from the event, as good as random, and kept is what
lies below the rate: so a retry, another appliance and a replay decide alike, and whatever is kept at a rate is kept at
every higher one. The number is taken from

* random: the id of the event. Engagement takes that of its page view, and so it goes where the page view went.
* visitor: the visitor's id, so all events of a visitor are kept, or none (`Flag.BY_VISITOR`).
* window: the time. Of every period one stretch is kept, which lies anywhere in it, so that what happens by the clock,
  on the hour, is neither always kept nor never. For an id of our own form it is the time in the id, which engagement
  has from its page view.

identify and reset count in no figure, and what others say depends on them: only with the visitor are they left out.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from appliance.clock import MICROSECONDS, MILLISECOND
from appliance.model import UNSAMPLED, Event, Flag, Kind, ProjectSettings, Sampling, SourceSettings
from appliance.storage.event_ids import minted_at

NAMES_MAX: Final = 1000  # of events, for which it is remembered what applies

# Looking up members of enumerations is slow in Python 3.11.
_PAGEVIEW, _ENGAGEMENT = int(Kind.PAGEVIEW), int(Kind.ENGAGEMENT)
_BY_VISITOR = int(Flag.BY_VISITOR)
_64_BITS: Final = (1 << 64) - 1


class Sampler:
    """What is kept of the events of one project; `off` are the sources of which nothing is."""

    def __init__(self, settings: ProjectSettings, sources: Mapping[str, SourceSettings]) -> None:
        self.off = frozenset(name for name, own in sources.items() if own.off)
        self._sampling = settings.sampling
        self._of_source = {name: own.sampling for name, own in sources.items() if own.sampling is not None}
        self._rules = settings.sampling_rules
        self._known: dict[tuple[str, str], Sampling] = {}

    def __bool__(self) -> bool:
        """Whether anything may be left out."""
        every = (self._sampling, *self._of_source.values(), *(rule.sampling for rule in self._rules))
        return bool(self.off) or any(sampling.strategy != "none" for sampling in every)

    def keep(self, event: Event) -> bool:
        """Whether an event is kept; it then has the rate."""
        # Engagement belongs to its page view, and every page view has one name.
        name = "pageview" if event.kind in (_PAGEVIEW, _ENGAGEMENT) else event.name
        sampling = self._known.get((event.source, name))
        if sampling is None:
            if len(self._known) >= NAMES_MAX:
                self._known.clear()
            sampling = self._known[event.source, name] = self.which(event.source, name)
        return keep(event, sampling)

    def which(self, source: str, name: str) -> Sampling:
        """What applies to the events of a source and name."""
        found = self._of_source.get(source, self._sampling)
        for rule in self._rules:
            if matches(rule.pattern, name):
                found = rule.sampling
        return found


def keep(event: Event, sampling: Sampling) -> bool:
    """Whether sampling keeps an event; it then has the rate."""
    strategy = sampling.strategy
    if strategy == "none":
        return True
    if strategy == "visitor":
        event.rate = sampling.rate
        event.flags |= _BY_VISITOR
        return _below((event.visitor & _64_BITS), sampling.rate)
    if event.kind > _ENGAGEMENT:
        return True
    if strategy == "random":
        return keep_at_random(event, sampling.rate)
    event.rate = sampling.rate
    period = sampling.period_seconds * MICROSECONDS
    number, since = divmod(_moment(event), period)
    start = _stretch(event.project_id, number, period)
    return (since - start) % period * UNSAMPLED < period * sampling.rate


def keep_at_random(event: Event, rate: int) -> bool:
    """Whether an event is among the `rate` parts per million that are kept; it then has the rate."""
    event.rate = rate
    return _below(_number(f"{event.project_id}\0{event.pageview_id or event.event_id}"), rate)


def matches(pattern: str, name: str) -> bool:
    """Whether a name is what the pattern says, in which `*` stands for anything."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == first
    *middle, last = rest
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _moment(event: Event) -> int:
    """The time, in UTC microseconds, that decides: the event's, and for engagement that of its page view."""
    minted = minted_at(event.pageview_id or event.event_id)
    return event.time if minted is None else minted * MILLISECOND


def _below(number: int, rate: int) -> bool:
    return number * UNSAMPLED >> 64 < rate


def _number(text: str) -> int:
    """64 bits that tell nothing of each other for different texts."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


@lru_cache(1024)
def _stretch(project_id: int, number: int, period: int) -> int:
    """Where in a period, in microseconds, what is kept of it begins; it goes on at the beginning when it reaches the
    end."""
    return _number(f"{project_id}\0{period}\0{number}") * period >> 64
