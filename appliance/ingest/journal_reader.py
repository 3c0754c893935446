"""Reads a journal's records back, from outside the process that writes them."""

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.ingest import segment
from appliance.ingest.journal_folder import survey
from appliance.ingest.segment import Damage, Record
from appliance.storage.interface import Position


class JournalReader:
    """Reads up to positions that the writer has synced. `on_damage` is told of every piece that is left out."""

    def __init__(self, folder: Path, on_damage: Callable[[Path, Damage], None]) -> None:
        self._folder = folder
        self._on_damage = on_damage

    def end(self) -> Position | None:
        """Up to where the journal that lies in the folder is valid; None when there is none.

        For a folder that nobody writes to: a writer's own word is the better one.
        """
        found = survey(self._folder)
        return None if found is None else Position(found.newest, found.sizes.get(found.newest, 0))

    def read(self, start: Position | None, end: Position, *, bytes_max: int) -> Iterator[tuple[bytes, Position]]:
        """Whole records from `start` (None: the oldest) up to `end`, each with the position after it; an empty payload
        stands for bytes left out.

        Stops after about `bytes_max`, at the latest at the end of a segment, so that a caller works in bounded steps;
        gives nothing when there is nothing more.
        """
        sizes = self._sizes(start, end)
        for number, valid in sizes.items():
            offset = start.offset if start is not None and number == start.segment else segment.HEADER_BYTES
            if offset < valid:
                yield from self._read_segment(number, offset, valid, bytes_max)
                return

    def _sizes(self, start: Position | None, end: Position) -> dict[int, int]:
        """Valid bytes of the segments between the two places, in order."""
        if start is not None and start.segment == end.segment:
            return {end.segment: end.offset}
        found = survey(self._folder, exact=False)
        sizes = found.sizes if found is not None else {}
        first = start.segment if start is not None else 0
        closed = {number: size for number, size in sorted(sizes.items()) if first <= number < end.segment}
        return closed | {end.segment: end.offset}

    def _read_segment(self, number: int, offset: int, end: int, bytes_max: int) -> Iterator[tuple[bytes, Position]]:
        path = self._folder / segment.file_name(number)
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < end:
                self._on_damage(path, Damage(size, end - size, "the file is shorter than it was"))
            if size <= offset:
                yield b"", Position(number, end)
                return
            with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
                for found in segment.records(view, number, offset, min(end, size)):
                    if isinstance(found, Record):
                        yield found.payload, Position(number, found.end)
                        at = found.end
                    else:
                        self._on_damage(path, found)
                        at = found.offset + found.length
                        yield b"", Position(number, at)
                    if at - offset >= bytes_max:
                        return
        if size < end:
            yield b"", Position(number, end)
