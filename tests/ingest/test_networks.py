"""Addresses as numbers and sets of networks, compared with the standard library's own."""

import ipaddress
import random

import pytest

from appliance.ingest.networks import MAPPED, Ranges, is_private, packed, read_network


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("203.0.113.7", MAPPED | 0xCB007107),
        ("0.0.0.0", MAPPED),
        ("203.0.113.7:4711", MAPPED | 0xCB007107),
        ("::ffff:203.0.113.7", MAPPED | 0xCB007107),
        ("[2001:db8::1]:443", 0x20010DB8 << 96 | 1),
        ("2001:db8::1%eth0", 0x20010DB8 << 96 | 1),
        ("::", 0),
        ("", None),
        ("unknown", None),
        ("203.0.113.256", None),
        ("1.2.3", None),
        ("1.2.3.4.5", None),
        ("\0", None),
        ("٣.3.3.3", None),
        ("2001:db8::1::2", None),
    ],
)
def test_an_address_is_a_number(address: str, number: int | None) -> None:
    assert packed(address) == number


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("192.168.1.5", True),
        ("172.17.0.1", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("203.0.113.7", False),
        ("2a00::1", False),
        ("", False),
        ("nobody", False),
    ],
)
def test_what_is_private(address: str, private: bool) -> None:
    assert is_private(address) is private


@pytest.mark.parametrize(
    "text", ["203.0.113.0/24", "203.0.113.77/24", "0.0.0.0/0", "2001:db8::/32", "::/0", "::1", "1.2.3.4"]
)
def test_a_network_has_the_edges_that_the_standard_library_says(text: str) -> None:
    expected = ipaddress.ip_network(text, strict=False)
    above = 0 if expected.version == 6 else MAPPED
    found = read_network(text)
    assert (found.first, found.last) == (above | int(expected[0]), above | int(expected[-1]))


@pytest.mark.parametrize(
    "text", ["", "/", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/255.255.255.0", "01.2.3.4", "1.2.3/24", "::/129",
             "2001:db8::/4²", "fe80::1%eth0", "example.com", "1.2.3.4/24/24"],
)  # fmt: skip
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        read_network(text)


@pytest.mark.parametrize("seed", range(5))
def test_ranges_have_what_their_networks_have(seed: int) -> None:
    chance = random.Random(seed)
    of4 = [f"10.{chance.randrange(4)}.{chance.randrange(256)}.0/{chance.randrange(14, 33)}" for _ in range(60)]
    of6 = [f"2001:db8:{chance.randrange(16):x}::/{chance.randrange(36, 129)}" for _ in range(60)]
    networks = [ipaddress.ip_network(text, strict=False) for text in of4 + of6]
    ranges = Ranges(read_network(text) for text in of4 + of6)
    edges = [edge for network in networks for edge in (network[0], network[-1])]
    near = [
        str(edge + step) for edge in edges for step in (-1, 0, 1) if 0 <= int(edge) + step < 2**32 or edge.version == 6
    ]
    for address in [*near, "9.255.255.255", "11.0.0.0", "::", "::ffff:0:0"]:
        number = packed(address)
        assert number is not None
        parsed = ipaddress.ip_address(address)
        expected = any(parsed in network for network in networks if network.version == parsed.version)
        assert (number in ranges) is expected, address


def test_ipv4_and_ipv6_stay_apart() -> None:
    everything6, everything4 = Ranges([read_network("::/0")]), Ranges([read_network("0.0.0.0/0")])
    v4, v6 = packed("203.0.113.7"), packed("2001:db8::1")
    assert v4 is not None
    assert v6 is not None
    assert (v4 in everything6, v6 in everything6, v4 in everything4, v6 in everything4) == (False, True, True, False)
    assert v4 not in Ranges()
    assert v6 not in Ranges()
