"""How a request reached us, and what that says of visitors' addresses: whether a proxy hides them."""

import sys
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from starlette.requests import HTTPConnection

from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.crowd import Look
from appliance.web import urls
from appliance.web.access import state_of, viewer_of
from appliance.web.parts import parts_of
from appliance.web.security import PEER_KEY
from appliance.web.views_requests import AddressNote

Advice = Literal["direct", "believed", "not_believed", "no_header", "other_header", "gateway", "one_address"]

BELIEVED_HEADER: Final = "x-forwarded-for"
# In which other proxies name the visitor, who could name anybody; none of them is read.
OTHER_HEADERS: Final = (
    "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip", "fly-client-ip",
)  # fmt: skip

_ROUTES = Path("/proc/net/route")


class Vantage(NamedTuple):
    """`peer`: who the connection is with; `address`: whose request it is taken for. `headers`: those of proxies that
    came with it. advice: a key under `address.advice.` of the catalogue."""

    peer: str
    address: str
    country: str
    headers: tuple[tuple[str, str], ...]
    advice: Advice
    crowd: Look

    @property
    def hides(self) -> bool:
        """Whether visitors' addresses are hidden, as far as this request can tell."""
        return self.advice not in ("direct", "believed")


def vantage_of(connection: HTTPConnection) -> Vantage:
    """From where this request came."""
    parts = parts_of(connection)
    address = connection.client.host if connection.client else ""
    peer = connection.scope.get(PEER_KEY, address)
    names = (BELIEVED_HEADER, *OTHER_HEADERS)
    headers = tuple((name, connection.headers[name]) for name in names if name in connection.headers)
    trusted = TrustedProxies(state_of(connection).settings.trusted_proxies).trusts(peer)
    crowd = parts.crowd()
    advice = _advice(peer, trusted=trusted, headers=dict(headers), crowd=crowd)
    return Vantage(peer, address, parts.locate(address).country, headers, advice, crowd)


def note_of(vantage: Vantage, href: str | None = None) -> AddressNote | None:
    """What to say of it on other pages; None where nothing is hidden. `href` leads to the page that says more."""
    if not vantage.hides:
        return None
    return AddressNote(advice=vantage.advice, peer=vantage.peer, requests=vantage.crowd.requests, href=href)


async def note_on_site(connection: HTTPConnection, vantage: Vantage) -> AddressNote | None:
    """The same on the pages of a site, for who may see the page that says more."""
    may_see = (await viewer_of(connection)).may("admin")
    return note_of(vantage, urls.ADMIN_ADDRESS) if may_see else None


def _advice(peer: str, *, trusted: bool, headers: dict[str, str], crowd: Look) -> Advice:
    if trusted and BELIEVED_HEADER not in headers:
        return "no_header"
    if not trusted and headers:
        return "not_believed" if BELIEVED_HEADER in headers else "other_header"
    if crowd.is_one and crowd.private:
        return "one_address"
    if trusted:
        return "believed"
    return "gateway" if peer and peer == _gateway() else "direct"


@cache
def _gateway() -> str:
    """The IPv4 address of this machine's default gateway, '' where that cannot be told. In a container it is the
    machine that runs it, whose address all have whom it passes on."""
    try:
        rows = [line.split() for line in _ROUTES.read_text("ascii").splitlines()[1:]]
    except OSError:
        return ""
    for _, destination, gateway, *_ in rows:
        if int(destination, 16) == 0 != int(gateway, 16):
            return ".".join(str(byte) for byte in int(gateway, 16).to_bytes(4, sys.byteorder))
    return ""
