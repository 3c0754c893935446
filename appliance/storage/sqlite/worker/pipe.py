"""What the serving process and its query worker say to each other: frames of a 4-byte length and MessagePack."""

from typing import BinaryIO, Literal

import msgspec

from appliance.storage.evaluation import Plan

LENGTH_BYTES = 4

Fault = Literal["cancelled", "damaged", "invalid", "purged", "sampled", "unavailable"]


class Ask(msgspec.Struct, tag="ask", array_like=True):
    id: int
    plan: Plan


class AskFirstEvent(msgspec.Struct, tag="first", array_like=True):
    id: int
    project_id: int


class Cancel(msgspec.Struct, tag="cancel", array_like=True):
    """The asker is gone, or has waited long enough."""

    id: int


class Done(msgspec.Struct, tag="done", array_like=True):
    """`result` is an `Answer` for Ask, a time or None for AskFirstEvent."""

    id: int
    result: msgspec.Raw


class Failed(msgspec.Struct, tag="failed", array_like=True):
    id: int
    fault: Fault
    message: str = ""


Request = Ask | AskFirstEvent | Cancel
Reply = Done | Failed


def frame(message: Request | Reply) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next message, None when the other side has closed the pipe."""
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    size = int.from_bytes(length, "little")
    body = stream.read(size)
    return body if len(body) == size else None
