"""Notices from ingestion to open pages. Bounded: a slow reader loses the oldest ones and is told how many."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

NOTICES_WAITING_MAX = 200


class Subscription(Generic[T]):
    """One reader's notices of one topic. Use as a context manager; read with `take`."""

    def __init__(self, broadcast: "Broadcast[T]", topic: int) -> None:
        self._broadcast = broadcast
        self._topic = topic
        self._waiting: deque[T] = deque(maxlen=NOTICES_WAITING_MAX)
        self._ready = asyncio.Event()
        self.lost = 0  # notices this reader was too slow for

    def put(self, notice: T) -> None:
        if len(self._waiting) == NOTICES_WAITING_MAX:
            self.lost += 1
        self._waiting.append(notice)
        self._ready.set()

    async def take(self, timeout_seconds: float) -> list[T]:
        """All notices that wait, oldest first; when there are none, those of the next moment, or none in time."""
        if not self._waiting:
            self._ready.clear()
            try:
                await asyncio.wait_for(self._ready.wait(), timeout_seconds)
            except TimeoutError:
                return []
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def __enter__(self) -> Self:
        self._broadcast.add(self._topic, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broadcast.discard(self._topic, self)


class Broadcast(Generic[T]):
    """Topics (projects, by internal id) and who listens to them. To be used on the event loop only."""

    def __init__(self) -> None:
        self._listeners: dict[int, set[Subscription[T]]] = {}

    def publish(self, topic: int, notice: T) -> None:
        for subscription in self._listeners.get(topic, ()):
            subscription.put(notice)

    def has_listeners(self, topic: int) -> bool:
        return topic in self._listeners

    def subscribe(self, topic: int) -> Subscription[T]:
        return Subscription(self, topic)

    def add(self, topic: int, subscription: Subscription[T]) -> None:
        self._listeners.setdefault(topic, set()).add(subscription)

    def discard(self, topic: int, subscription: Subscription[T]) -> None:
        listeners = self._listeners.get(topic, set())
        listeners.discard(subscription)
        if not listeners:
            self._listeners.pop(topic, None)
