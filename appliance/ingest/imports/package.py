"""What an importer hands to the drain: events with the piece of the file that they were read from."""

import msgspec

from appliance.model import Event
from appliance.storage.imported_figures import Figure
from appliance.storage.imports import Step


class OfVisit(msgspec.Struct, array_like=True, gc=False):
    """What a file says of the visit of one event: its number there, when it ended, and whose it is."""

    number: int
    end: int
    user_id: str = ""


class Package(msgspec.Struct, array_like=True):
    """Of one project, stored in one transaction, or not at all: `events` as if they had been sent, `exact` ones in the
    visits that the file says, one of each, and `figures` of whole days."""

    step: Step
    project_id: int
    events: list[Event]
    exact: list[Event] = []
    visits: list[OfVisit] = []
    figures: list[Figure] = []

    @property
    def size(self) -> int:
        """How many events and figures there are."""
        return len(self.events) + len(self.exact) + len(self.figures)


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Package).decode
