"""Engagement that comes before its page view (SEMANTICS, Visits): where it waits.

A page view and the beacon of a page that is left at once have a connection each, and the beacon may be journaled first.
It is set aside, and takes effect in the transaction in which its page view is stored. What waits longer is refused.

How long that was is told by the times of receipt, event by event in journal order, so it matters neither how the
journal was cut into batches nor when it was drained.
"""

from collections import OrderedDict

from appliance.clock import MINUTE
from appliance.model import Event
from appliance.storage.event_ids import pack
from appliance.storage.interface import DrainTransaction

# Between two connections of a browser it is milliseconds; the rest is for a page view that had to be sent again.
WAIT_MAX = MINUTE
# What engagement without page views may cost, whoever sends it: some 10 MB. Above, the oldest leave before their time.
WAITING_MAX = 10_000

IdKey = tuple[int, bytes | str]  # project, packed event id


def pageview_key(event: Event) -> IdKey:
    """What the page view that engagement belongs to is known by."""
    return event.project_id, pack(event.pageview_id)


def pageview_keys(event: Event) -> list[IdKey]:
    """The same, and what it was known by if it is of yesterday."""
    keys = [pageview_key(event)]
    if event.pageview_id_yesterday:
        keys.append((event.project_id, pack(event.pageview_id_yesterday)))
    return keys


class EarlyEngagement:
    """Use: `begin` a batch, `add`, `overdue` and `leave` in journal order, then `save`.

    Keeps in memory what the database has set aside. Dropped whole when a batch fails, and then read again.
    """

    def __init__(self) -> None:
        self.by_pageview: dict[IdKey, list[int]] = {}  # numbers in journal order; usually there are none
        self.due = 0  # nothing is overdue at times of receipt up to this one
        self._events: OrderedDict[int, Event] = OrderedDict()  # by number, in journal order
        self._last = 0
        self._is_read = False
        self._new: dict[int, Event] = {}  # of this batch
        self._gone: list[int] = []
        self._tx: DrainTransaction

    def begin(self, tx: DrainTransaction) -> None:
        """Start a batch inside a transaction."""
        self._tx = tx
        if not self._is_read:
            for number, event in tx.waiting():
                self._put(number, event)
            self._is_read = True

    def save(self) -> None:
        """Store what this batch did."""
        if self._gone:
            self._tx.release(self._gone)
        if self._new:
            self._tx.set_aside(list(self._new.items()))
        self._gone = []
        self._new = {}

    def forget(self) -> None:
        """Drop everything: the batch was rolled back."""
        self.by_pageview.clear()
        self._events.clear()
        self._new.clear()
        self._gone.clear()
        self._is_read = False

    def add(self, event: Event) -> list[Event]:
        """Set engagement aside. Gives what has to leave for it, because too much waits."""
        self._put(self._last + 1, event)
        self._new[self._last] = event
        return [self._take_first()] if len(self._events) > WAITING_MAX else []

    def leave(self, key: IdKey) -> list[Event]:
        """What waited for a page view, in journal order; it waits no more. Raises KeyError when nothing did."""
        return [self._take(number) for number in self.by_pageview.pop(key)]

    def overdue(self, received: int) -> list[Event]:
        """What has waited too long when something is received at that time (UTC microseconds); it waits no more."""
        overdue = []
        while self._events:
            self.due = next(iter(self._events.values())).received + WAIT_MAX
            if received <= self.due:
                break
            overdue.append(self._take_first())
        return overdue

    def may_be_overdue(self, received: int) -> bool:
        """False: `overdue` would find nothing. Needs no transaction."""
        return not self._is_read or (bool(self._events) and received > self.due)

    def _put(self, number: int, event: Event) -> None:
        if not self._events:
            self.due = event.received + WAIT_MAX
        self._events[number] = event
        self._last = number
        self.by_pageview.setdefault(pageview_key(event), []).append(number)

    def _take_first(self) -> Event:
        number, event = next(iter(self._events.items()))
        key = pageview_key(event)
        numbers = self.by_pageview[key]
        numbers.remove(number)
        if not numbers:
            del self.by_pageview[key]
        return self._take(number)

    def _take(self, number: int) -> Event:
        if self._new.pop(number, None) is None:
            self._gone.append(number)
        return self._events.pop(number)
