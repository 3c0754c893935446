"""Notices from ingestion to open pages. Bounded: a slow reader loses the oldest ones and is told how many.

Notices are numbered, and a topic's newest are kept, so that a page misses nothing between the moment it was made and
the moment it listens, nor while its connection was broken.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

from appliance import clock

T = TypeVar("T")

NOTICES_WAITING_MAX = 200
NOTICES_KEPT = 50


class Subscription(Generic[T]):
    """One reader's notices of one topic. Use as a context manager; read with `take`."""

    def __init__(self, broadcast: "Broadcast[T]", topic: int, missed: Iterable[T]) -> None:
        self._broadcast = broadcast
        self._topic = topic
        self._waiting: deque[T] = deque()
        self._weight = 0
        self._ready = asyncio.Event()
        self.position = broadcast.position  # of the last notice taken
        self.lost = 0  # notices this reader was too slow for
        for notice in missed:
            self.put(notice)

    @property
    def more(self) -> bool:
        """Whether notices wait."""
        return bool(self._waiting)

    def put(self, notice: T) -> None:
        weigh = self._broadcast.weigh
        self._waiting.append(notice)
        self._weight += weigh(notice)
        while self._weight > self._broadcast.waiting_max:
            self._weight -= weigh(self._waiting.popleft())
            self.lost += 1
        self._ready.set()

    async def take(self, timeout_seconds: float, most: int | None = None) -> list[T]:
        """The notices that wait, oldest first, at most so many; when there are none, those of the next moment, or none
        in time."""
        if not self._waiting:
            self._ready.clear()
            try:
                await asyncio.wait_for(self._ready.wait(), timeout_seconds)
            except TimeoutError:
                return []
        number = len(self._waiting) if most is None else min(most, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(number)]
        self._weight -= sum(map(self._broadcast.weigh, taken))
        if not self._waiting:
            self.position = self._broadcast.position
        return taken

    def take_lost(self) -> int:
        """How many notices were lost since this was asked last; they were older than those that wait."""
        lost, self.lost = self.lost, 0
        return lost

    def __enter__(self) -> Self:
        self._broadcast.add(self._topic, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broadcast.discard(self._topic, self)


def _one(notice: object) -> int:
    return 1


class Broadcast(Generic[T]):
    """Topics (projects, by internal id) and who listens to them. To be used on the event loop only.

    kept_max: notices of a topic. waiting_max: what those that wait for a reader may weigh; one weighs 1 unless `weigh`
    says otherwise. position: the number of the newest notice. Numbers begin with the time of start, so that one given
    out before a restart lies before all that come after it.
    """

    def __init__(
        self, kept_max: int = NOTICES_KEPT, waiting_max: int = NOTICES_WAITING_MAX, weigh: Callable[[T], int] = _one
    ) -> None:
        self._kept_max = kept_max
        self.waiting_max = waiting_max
        self.weigh = weigh
        self._listeners: dict[int, set[Subscription[T]]] = {}
        self._kept: dict[int, deque[tuple[int, T]]] = {}
        self.position = clock.now()

    def publish(self, topic: int, notice: T) -> None:
        self.position += 1
        kept = self._kept.get(topic)
        if kept is None:
            kept = self._kept[topic] = deque(maxlen=self._kept_max)
        kept.append((self.position, notice))
        if topic in self._listeners:
            for subscription in self._listeners[topic]:
                subscription.put(notice)

    def kept(self, topic: int) -> list[T]:
        """A topic's newest notices, newest first."""
        return [notice for _, notice in reversed(self._kept.get(topic, ()))]

    def subscribe(self, topic: int, after: int | None = None) -> Subscription[T]:
        """Listen from now on, or from `after`, a position given out before: then what is kept since comes first."""
        since = self.position if after is None else after
        return Subscription(self, topic, [notice for number, notice in self._kept.get(topic, ()) if number > since])

    def topics(self) -> set[int]:
        """Those that somebody listens to."""
        return set(self._listeners)

    def add(self, topic: int, subscription: Subscription[T]) -> None:
        self._listeners.setdefault(topic, set()).add(subscription)

    def discard(self, topic: int, subscription: Subscription[T]) -> None:
        listeners = self._listeners.get(topic, set())
        listeners.discard(subscription)
        if not listeners:
            self._listeners.pop(topic, None)
