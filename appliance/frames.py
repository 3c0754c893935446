"""Messages between the processes of the appliance: MessagePack behind a length of four bytes, little-endian."""

import struct
from collections.abc import Iterator

LENGTH = struct.Struct("<I")


def frame(payload: bytes) -> bytes:
    """A payload as it goes over a pipe."""
    return LENGTH.pack(len(payload)) + payload


class Unframer:
    """Turns pieces of a stream back into payloads."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payloads that are whole with these bytes."""
        self._rest += data
        at = 0
        while len(self._rest) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._rest, at)
            end = at + LENGTH.size + length
            if end > len(self._rest):
                break
            yield self._rest[at + LENGTH.size : end]
            at = end
        self._rest = self._rest[at:]
