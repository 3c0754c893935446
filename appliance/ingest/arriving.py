"""How much memory bodies may take that are still arriving: whoever sends slowly, or stops, must not fill it.

What is usual is small and arrives at once, so a body counts only with what it has above a free part. When all together
are too large, the one that began to count first has to go: a body that is sent at a usual pace is through long before
it is the oldest.
"""

from collections.abc import Callable

from appliance.errors import Invalid

FREE_BYTES = 16 << 10
BYTES_MAX = 64 << 20  # of all bodies, beyond their free part


class TooSlow(Invalid):
    """The body took too long to arrive, while others needed the memory."""

    status = 408
    code = "too_slow"


class Arriving:
    """The large bodies that arrive just now, the oldest first."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bodies: dict[Body, None] = {}
        self.nbytes = 0

    def count(self, body: "Body", nbytes: int) -> None:
        """So many bytes more of one body are held. Ends others, or this one, where that is too much."""
        self._bodies.setdefault(body)
        self.nbytes += nbytes
        while self.nbytes > self._bytes_max:
            oldest = next(iter(self._bodies))
            oldest.end()
            oldest.give_up()

    def discount(self, body: "Body", nbytes: int) -> None:
        """A body is held no longer."""
        del self._bodies[body]
        self.nbytes -= nbytes


class Body:
    """One body while it arrives. `give_up` is called when it has to go; what was held of it is not counted then."""

    __slots__ = ("_all", "_counted", "_size", "give_up")

    def __init__(self, among: Arriving, give_up: Callable[[], object]) -> None:
        self._all = among
        self._size = 0
        self._counted = 0
        self.give_up = give_up

    def grow(self, nbytes: int) -> None:
        """A piece of it has arrived."""
        self._size += nbytes
        more = self._size - FREE_BYTES - self._counted
        if more > 0:
            self._counted += more
            self._all.count(self, more)

    def end(self) -> None:
        """It is whole, or nobody waits for it. May be said twice."""
        if self._counted:
            counted, self._counted = self._counted, 0
            self._all.discount(self, counted)
