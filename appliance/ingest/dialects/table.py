"""The wire formats that are spoken, and at which paths. A new one is a module and a line in DIALECTS."""

from collections.abc import Sequence
from typing import Any, Protocol

from appliance.errors import ApplianceError
from appliance.ingest.answers import Answer
from appliance.ingest.arrival import Arrival
from appliance.ingest.dialects import (
    event_analytics,
    goatcounter,
    goatcounter_api,
    native,
    pixel,
    plausible,
    posthog,
    posthog_setup,
    segment,
    simple_analytics,
    track,
    umami,
)
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded


class Dialect(Protocol):
    """A wire format: a module with these names.

    It may also have `PREFIXES`, of paths that have a part that varies; `BODY_BYTES_MAX`, where its clients may send
    more than the setting allows; and `SHOWS_LIMITS = True`, where every answer says what is left of the rate limit of
    the client's address.
    """

    PATHS: tuple[str, ...]
    METHODS: tuple[str, ...]

    def decode(self, arrival: Arrival) -> Decoded | Answer:
        """The events of a request, or the answer to one that brings none. Raises Invalid."""
        ...

    def encode(self, outcome: Outcome, decoded: Decoded) -> Answer:
        """The answer to a request that was admitted; `decoded` is what `decode` gave."""
        ...

    def refuse(self, error: ApplianceError, arrival: Arrival) -> Answer:
        """The answer to a request of which nothing was taken."""
        ...


# Modules; mypy does not see them as the protocol they follow.
DIALECTS: Sequence[Any] = (
    native,
    pixel,
    simple_analytics,
    event_analytics,
    track,
    plausible,
    umami,
    segment,
    goatcounter,
    goatcounter_api,
    posthog,
    posthog_setup,
)


class Dialects:
    """All of them, found by path. `names` are their modules'; `showing_limits` are those with SHOWS_LIMITS."""

    def __init__(self) -> None:
        self.names = {dialect: dialect.__name__.rpartition(".")[2] for dialect in DIALECTS}
        self.showing_limits = frozenset(d for d in DIALECTS if getattr(d, "SHOWS_LIMITS", False))
        self._at = {path + end: dialect for dialect in DIALECTS for path in dialect.PATHS for end in ("", "/")}
        self._under = {prefix: dialect for dialect in DIALECTS for prefix in getattr(dialect, "PREFIXES", ())}
        self._prefixes = tuple(self._under)

    def at(self, path: str) -> Any | None:
        """The dialect that is spoken at a path; None for what is no ingest path."""
        dialect = self._at.get(path)
        if dialect is None and path.startswith(self._prefixes):
            return next(dialect for prefix, dialect in self._under.items() if path.startswith(prefix))
        return dialect
