"""A journal's folder: which segments lie in it, up to where each is valid, and whose they are."""

import os
import secrets
from pathlib import Path
from typing import NamedTuple

from appliance.ingest import segment
from appliance.ingest.segment import Damage
from appliance.storage.interface import Position

# The journal's id stands in every segment; once more beside them, so that one damaged header cannot make the database
# believe that it sees another journal, whose events it does not have yet.
ID_FILE = "id"
ID_BYTES = 16


class Survey(NamedTuple):
    """What a journal's folder holds: the valid bytes of each segment, and what is wrong with headers."""

    journal_id: bytes
    newest: int
    sizes: dict[int, int]
    damaged: list[tuple[int, Damage]]

    def bytes_after(self, position: Position | None) -> int:
        """Bytes of records behind a position; None: of all."""
        return bytes_after(self.sizes, position)


def survey(folder: Path, *, exact: bool = True) -> Survey | None:
    """Look at a folder without changing it; None when it has no segments.

    Unless `exact`, the bytes of the newest segment include those that are prepared and not written yet: to tell them
    apart it must be read.

    Raises ValueError when segments of two journals lie in it.
    """
    numbers = sorted(n for path in folder.glob("*") if (n := segment.number_of(path)) is not None)
    journal_id = read_id(folder)
    sizes: dict[int, int] = {}
    damaged: list[tuple[int, Damage]] = []
    for number in numbers:
        path = folder / segment.file_name(number)
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                header = segment.decode_header(file.read(segment.HEADER_BYTES))
        except FileNotFoundError:
            continue  # its process let go of it just now
        except segment.DamagedHeader as error:
            damaged.append((number, Damage(0, min(size, segment.HEADER_BYTES), str(error))))
            if size > segment.HEADER_BYTES:
                sizes[number] = size  # its records may still be whole
            continue
        if journal_id and header.journal_id != journal_id:
            raise ValueError(f"{path} belongs to another journal; move it away or restore its folder whole")
        journal_id = header.journal_id
        sizes[number] = size
        if header.previous_end and number - 1 in sizes:
            sizes[number - 1] = min(sizes[number - 1], header.previous_end)
    if not numbers:
        return None
    newest = numbers[-1]
    if exact and newest in sizes:
        data = (folder / segment.file_name(newest)).read_bytes()
        sizes[newest] = segment.content_end(data[: sizes[newest]], newest)
    return Survey(journal_id, newest, sizes, damaged)


def read_id(folder: Path) -> bytes:
    """The id that stands beside the segments, empty when there is none."""
    try:
        journal_id = bytes.fromhex((folder / ID_FILE).read_text("ascii").strip())
    except (FileNotFoundError, ValueError):
        return b""
    return journal_id if len(journal_id) == ID_BYTES else b""


def write_id(folder: Path, journal_id: bytes) -> None:
    """Put the id beside the segments, durably."""
    path = folder / ID_FILE
    with path.open("w", encoding="ascii") as file:
        file.write(journal_id.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def mint_id() -> bytes:
    return secrets.token_bytes(ID_BYTES)


def bytes_after(sizes: dict[int, int], position: Position | None) -> int:
    """Bytes of records behind a position, in segments of these sizes."""
    total = 0
    for number, size in sorted(sizes.items()):
        if position is None or number > position.segment:
            total += max(0, size - segment.HEADER_BYTES)
        elif number == position.segment:
            total += max(0, size - position.offset)
    return total


def sync_folder(folder: Path) -> None:
    """Make new and deleted names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
