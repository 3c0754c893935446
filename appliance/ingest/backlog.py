"""How many events the journal holds that no database has yet: those that the last run accepted before it was ended."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from appliance.ingest.drain import READ_BYTES_MAX
from appliance.ingest.journal_reader import JournalReader
from appliance.model import Kind
from appliance.storage.interface import Position

_CUSTOM: Final = int(Kind.CUSTOM)
_NEVER: Final = 1 << 63


class Backlog(NamedTuple):
    """Numbers of events by project, and the position behind the last one."""

    events: Counter[int]
    end: Position


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The first fields of an event in the journal; the others are skipped."""

    project_id: int
    event_id: str
    kind: int
    name: str
    time: int
    received: int


_decode = msgspec.msgpack.Decoder(list[_Head]).decode


def backlog(folder: Path, start: Position | None, end: Position, since: Mapping[int, int]) -> Backlog:
    """Count the events between two positions of the projects in `since`, received at that time (UTC microseconds) or
    later."""
    reader = JournalReader(folder, lambda path, damage: None)  # the drain reports it
    events: Counter[int] = Counter()
    while True:
        before = start
        for payload, after in reader.read(before, end, bytes_max=READ_BYTES_MAX):
            start = after
            if payload:
                with suppress(msgspec.DecodeError, UnicodeDecodeError):
                    events.update(
                        head.project_id
                        for head in _decode(payload)
                        if head.kind <= _CUSTOM and head.received >= since.get(head.project_id, _NEVER)
                    )
        if start == before:
            return Backlog(events, start or end)
