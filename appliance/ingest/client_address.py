"""Whose address a request has: the connection's, or what a trusted proxy says of it."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The networks whose forwarding headers are believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(n, strict=False) for n in networks]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[address] = self._inside(address)
        return known

    def client(self, peer: str, forwarded_for: str) -> str:
        """The client's address: the last one in X-Forwarded-For that is no trusted proxy, or the peer itself.

        The list grows to the right as a request passes proxies, so everything left of the first untrusted address,
        read from the right, is whatever the client chose to say.
        """
        if not forwarded_for or not self.trusts(peer):
            return peer
        address = peer
        for part in reversed(forwarded_for.split(",")):
            candidate = _bare(part.strip())
            if not candidate:
                break
            address = candidate
            if not self.trusts(address):
                break
        return address

    def _inside(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)


def _bare(address: str) -> str:
    """An address without port and brackets, '' when it is none."""
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""
