"""What the serving process and its query worker say to each other: frames of a 4-byte length and MessagePack."""

from typing import BinaryIO, Literal

import msgspec

from appliance.storage.evaluation import Plan

LENGTH_BYTES = 4

Fault = Literal["cancelled", "damaged", "invalid", "purged", "sampled", "unavailable", "unrolled"]


class Ask(msgspec.Struct, tag="ask", array_like=True):
    id: int
    plan: Plan


class AskFirstEvent(msgspec.Struct, tag="first", array_like=True):
    id: int
    project_id: int


class Unit(msgspec.Struct, frozen=True, array_like=True):
    """A unit of rollups to answer with (units/covering.py). Times are UTC microseconds."""

    id: int
    first_day: int
    days: int
    start: int
    end: int
    timezone: str
    usable: bool
    final: bool

    @property
    def last_day(self) -> int:
        return self.first_day + self.days - 1


class AskRolled(msgspec.Struct, tag="rolled", array_like=True):
    """Steps with rollups, in a snapshot that another session of the server has exported and holds open.

    `units`: of each step those to answer with, at least one; `purged`: up to when raw data are gone.
    """

    id: int
    plan: Plan
    snapshot: str
    units: tuple[tuple[Unit, ...], ...]
    purged: int


class Cancel(msgspec.Struct, tag="cancel", array_like=True):
    """The asker is gone, or has waited long enough."""

    id: int


class Done(msgspec.Struct, tag="done", array_like=True):
    """`result` is an `Answer` for Ask and AskRolled, a time or None for AskFirstEvent."""

    id: int
    result: msgspec.Raw


class Failed(msgspec.Struct, tag="failed", array_like=True):
    id: int
    fault: Fault
    message: str = ""


Question = Ask | AskFirstEvent | AskRolled
Request = Question | Cancel
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
