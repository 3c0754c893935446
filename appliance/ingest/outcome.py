"""What became of the events of one request."""

import msgspec

from appliance.ingest.sent import Drop, Rejection
from appliance.model import Event


class Outcome(msgspec.Struct, gc=False):
    """`accepted + duplicates + len(dropped) + len(rejected) == total`, unless the request is all or nothing and was
    refused: then no event was accepted."""

    total: int
    single: bool
    accepted: int
    duplicates: int
    dropped: list[Drop]
    rejected: list[Rejection]
    events: list[Event]  # as they go into the journal, those that are known already among them

    @property
    def sampled(self) -> bool:
        """At least one event was sampled out."""
        return any(drop.reason == "sampled" for drop in self.dropped)

    @property
    def reasons(self) -> list[str]:
        """Why events are not counted, in words that do not change."""
        return [drop.reason for drop in self.dropped] + [rejection.code for rejection in self.rejected]
