"""How many events the journal has that are not in the database yet."""

from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.ingest.journal_reader import JournalReader
from appliance.storage.interface import Position

READ_BYTES = 4 << 20

_decode = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def count_waiting(folder: Path, drained: Position | None, end: Position) -> int:
    """Events between what is drained (None: nothing) and the end of the journal in a folder, duplicates among them.

    Reads all of it: call it on a thread. What is drained and deleted meanwhile is not counted.
    """
    reader = JournalReader(folder, lambda path, damage: None)
    events = 0
    with suppress(FileNotFoundError):
        while records := list(reader.read(drained, end, bytes_max=READ_BYTES)):
            events += sum(len(_decode(payload)) for payload, _ in records if payload)
            drained = records[-1][1]
    return events
