"""Writes a small MaxMind DB file (maxmind.github.io/MaxMind-DB, version 2.0) with 24-bit records."""

import ipaddress
from pathlib import Path
from typing import Any

_TYPES = {str: 2, dict: 7, list: 11}
_UINT16, _UINT32, _UINT64 = 5, 6, 9
_WIDTHS = {_UINT16: 2, _UINT32: 4, _UINT64: 8}

Node = list[Any]


def write_mmdb(path: Path, records: dict[str, Any], *, ip_version: int = 6) -> Path:
    """`records`: network -> record of dicts, lists and strings. In a version 6 file IPv4 stands at ::/96."""
    data = bytearray()
    root: Node = [None, None]
    for network, record in records.items():
        offset = len(data)
        data += _encode(record)
        _insert(root, _bits(network, ip_version), offset)
    nodes = _number(root)
    places = {id(node): place for place, node in enumerate(nodes)}
    tree = bytearray()
    for node in nodes:
        for child in node:
            if child is None:
                value = len(nodes)
            elif isinstance(child, int):
                value = len(nodes) + 16 + child
            else:
                value = places[id(child)]
            tree += value.to_bytes(3, "big")
    metadata = {
        "node_count": (_UINT32, len(nodes)),
        "record_size": (_UINT16, 24),
        "ip_version": (_UINT16, ip_version),
        "binary_format_major_version": (_UINT16, 2),
        "binary_format_minor_version": (_UINT16, 0),
        "build_epoch": (_UINT64, 1_750_000_000),
        "database_type": "Test-City",
        "languages": ["en"],
        "description": {"en": "test"},
    }
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encode(metadata))
    return path


def _bits(network: str, ip_version: int) -> str:
    parsed = ipaddress.ip_network(network)
    width = 128 if ip_version == 6 else 32
    length = parsed.prefixlen + (96 if ip_version == 6 and parsed.version == 4 else 0)
    return f"{int(parsed.network_address):0{width}b}"[:length]


def _insert(root: Node, bits: str, offset: int) -> None:
    node = root
    for bit in bits[:-1]:
        if node[int(bit)] is None:
            node[int(bit)] = [None, None]
        node = node[int(bit)]
    node[int(bits[-1])] = offset


def _number(root: Node) -> list[Node]:
    nodes = [root]
    for node in nodes:
        nodes.extend(child for child in node if isinstance(child, list))
    return nodes


def _encode(value: Any) -> bytes:
    if isinstance(value, tuple):
        kind: int = value[0]
        number: int = value[1]
        return _control(kind, _WIDTHS[kind]) + number.to_bytes(_WIDTHS[kind], "big")
    if isinstance(value, str):
        raw = value.encode()
        return _control(_TYPES[str], len(raw)) + raw
    if isinstance(value, list):
        return _control(_TYPES[list], len(value)) + b"".join(map(_encode, value))
    pairs = b"".join(_encode(key) + _encode(item) for key, item in value.items())
    return _control(_TYPES[dict], len(value)) + pairs


def _control(kind: int, size: int) -> bytes:
    length, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    return bytes([kind << 5 | length]) + more if kind < 8 else bytes([length, kind - 7]) + more
