"""What pages need that show requests as they came in. See `views.py`."""

from dataclasses import dataclass
from datetime import datetime

from appliance.web.views import Choice, Shell


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request on an ingest path. `code` is why the first event that was not taken was not (a catalogue key under
    `reason.`), `message` says more."""

    at: datetime
    status: int
    method: str
    path: str
    dialect: str
    key: str  # its beginning
    nbytes: int
    accepted: int
    duplicates: int
    dropped: int
    rejected: int
    code: str
    message: str
    milliseconds: float

    @property
    def level(self) -> str:
        """How it went: up, warn (nothing or not all was taken, as the site wants it), down."""
        if self.status >= 400 or (self.rejected and not self.accepted):
            return "down"
        return "warn" if self.dropped or self.rejected or self.code else "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsView:
    """`live/requests.html`; one line `live/_request_row.html`. Without a site: those that name none."""

    shell: Shell
    rows: tuple[RequestRow, ...]
    rows_max: int
    sides: tuple[Choice, ...] = ()  # visitors, requests
    back_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressNote:
    """That visitors' addresses seem to be hidden. advice: a key under `address.advice.` of the catalogue."""

    advice: str
    peer: str
    requests: int
    href: str | None = None  # says more
