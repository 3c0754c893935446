"""Addresses as numbers, and networks that are looked up by them.

Every address is a number of 128 bits, IPv4 as the IPv6 address that maps it (::ffff:a.b.c.d), so that there is one way
to look up both.
"""

import ipaddress
import socket
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from appliance.ingest.geo import plain_address

ADDRESSES_CACHED_MAX = 8192
MAPPED = 0xFFFF << 32  # ::ffff:0.0.0.0
_MAPPED_PREFIX = MAPPED >> 32
_UINT32 = next(code for code in "IL" if array(code).itemsize == 4)


@lru_cache(ADDRESSES_CACHED_MAX)
def packed(address: str) -> int | None:
    """The number of an address, which may carry a port, brackets or a zone id; None for what is none."""
    try:
        return MAPPED | int.from_bytes(socket.inet_pton(socket.AF_INET, address), "big")
    except (OSError, ValueError):
        plain = plain_address(address)
    if not plain:
        return None
    number = int(ipaddress.ip_address(plain))
    return number if ":" in plain else MAPPED | number


class Network(NamedTuple):
    """All addresses whose numbers begin with the same `bits` as `first`."""

    first: int
    bits: int

    @property
    def last(self) -> int:
        return self.first | ((1 << (128 - self.bits)) - 1)


def read_network(text: str) -> Network:
    """A network ("203.0.113.0/24", "2001:db8::/32") or a single address; bits behind the prefix do not matter.
    Raises ValueError."""
    address, slash, length = text.partition("/")
    family, width, prefix = (socket.AF_INET6, 128, 0) if ":" in address else (socket.AF_INET, 32, MAPPED)
    try:
        number = int.from_bytes(socket.inet_pton(family, address), "big")
    except OSError:
        raise ValueError(f"{address!r} is no address") from None
    bits = width
    if slash:
        if not (length.isascii() and length.isdigit()) or int(length) > width:
            raise ValueError(f"{length!r} is no length of a prefix")
        bits = int(length)
    rest = width - bits
    return Network(prefix | number >> rest << rest, 128 - rest)


class Ranges:
    """A large set of networks, for asking whether an address is in one: sorted edges and a binary search.

    Edges of IPv4 take 4 bytes each: lists of data centres have a hundred thousand.
    """

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        of_ipv4: list[Network] = []
        of_ipv6: list[Network] = []
        for network in networks:
            (of_ipv4 if network.first >> 32 == _MAPPED_PREFIX else of_ipv6).append(network)
        self._starts4, self._ends4 = array(_UINT32), array(_UINT32)
        for first, last in _merged(of_ipv4):
            self._starts4.append(first - MAPPED)
            self._ends4.append(last - MAPPED)
        merged = list(_merged(of_ipv6))
        self._starts6, self._ends6 = [first for first, _ in merged], [last for _, last in merged]

    def __contains__(self, number: int) -> bool:
        if number >> 32 == _MAPPED_PREFIX:
            number -= MAPPED
            place = bisect_right(self._starts4, number)
            return place > 0 and number <= self._ends4[place - 1]
        place = bisect_right(self._starts6, number)
        return place > 0 and number <= self._ends6[place - 1]


def _merged(networks: Iterable[Network]) -> Iterator[tuple[int, int]]:
    """The networks as ascending ranges that neither overlap nor touch."""
    first = last = -2
    for network in sorted(networks):
        if network.first <= last + 1:
            last = max(last, network.last)
            continue
        if last >= 0:
            yield first, last
        first, last = network.first, network.last
    if last >= 0:
        yield first, last


# Local networks and the machine itself, among them what carriers and overlay networks share (RFC 6598).
_PRIVATE = Ranges(
    map(
        read_network,
        (
            "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
            "::1", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip


def is_private(address: str) -> bool:
    """Whether an address is that of a local network or of the machine itself: nobody's on the Internet."""
    number = packed(address)
    return number is not None and number in _PRIVATE
