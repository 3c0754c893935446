"""Each format: told by its beginning, stored as it means, twice and in pieces with the same result."""

import bz2
import gzip
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.errors import Invalid
from appliance.ingest.imports import formats, reading
from appliance.ingest.imports.delivery import Delivery
from appliance.ingest.imports.format import Context, Head
from appliance.ingest.imports.lines import Lines, records
from appliance.ingest.imports.package import Package
from appliance.ingest.pipeline import Dropped, Rejected
from appliance.model import Project
from appliance.queries import export
from appliance.storage import projects
from appliance.storage.imports import Import, digest_of
from tests.engines import AnyDatabase
from tests.ingest.imports.importing import import_file
from tests.ingest.imports.samples import SAMPLES


@pytest.fixture
async def site(database: AnyDatabase) -> Project:
    return await new_site(database)


async def new_site(database: AnyDatabase, domain: str = "example.com") -> Project:
    return (await projects.create(database, name="Site", domains=[domain], actor="t", at=clock.now())).project


async def events(database: AnyDatabase, project: Project) -> list[dict[str, Any]]:
    columns = export.DATASETS["events"]
    return [
        dict(zip(columns, row, strict=True))
        async for batch in export.rows(database, "events", project.id, 0, 1 << 62)
        for row in batch
    ]


async def rows(database: AnyDatabase, project: Project) -> list[tuple[Any, ...]]:
    """What is stored, without what is minted; visitors and visits by the order in which they came."""
    visitors: dict[str, int] = {}
    visits: dict[int, int] = {}
    return [
        (
            visitors.setdefault(event["visitor"], len(visitors)),
            visits.setdefault(event["visit_id"], len(visits)),
            *(event[name] for name in event if name not in ("event_id", "received_at", "visitor", "visit_id")),
        )
        for event in await events(database, project)
    ]


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_file_is_told_by_its_beginning_and_stored_as_it_means(
    tmp_path: Path, database: AnyDatabase, site: Project, name: str
) -> None:
    sample = SAMPLES[name]
    path = tmp_path / "file"
    path.write_text(sample.text)
    found = await import_file(database, tmp_path, site, path)
    assert (found.format, found.state) == (name, "done")
    stored = await events(database, site)
    assert [(event["event"], event["path"], event["timestamp"]) for event in stored] == sample.stored
    assert found.counts.dropped == sample.dropped
    assert [(fault.line, fault.code) for fault in found.counts.faults] == sample.faults
    assert (found.counts.stored, found.counts.refused) == (len(sample.stored), len(sample.faults))
    assert len({event["visit_id"] for event in stored}) == sample.visits
    first = stored[0] | {"user": stored[0]["user_id"]}
    assert {field: first[field] for field in sample.first_visit} == sample.first_visit
    assert all("imported" in event["flags"] for event in stored)


@pytest.mark.parametrize("name", SAMPLES)
async def test_again_compressed_or_by_another_name_it_adds_nothing(
    tmp_path: Path, database: AnyDatabase, site: Project, name: str
) -> None:
    data = SAMPLES[name].text.encode()
    (tmp_path / "first.gz").write_bytes(gzip.compress(data))
    (tmp_path / "second").write_bytes(data)
    (tmp_path / "third.bz2").write_bytes(bz2.compress(data))
    first = await import_file(database, tmp_path, site, tmp_path / "first.gz")
    before = await rows(database, site)
    for path in ("second", "third.bz2", "first.gz"):
        again = await import_file(database, tmp_path, site, tmp_path / path)
        assert (again.id, again.counts.stored) == (first.id, first.counts.stored)
    assert await rows(database, site) == before
    # Another project has not had it.
    other = await new_site(database, "other.example")
    assert (await import_file(database, tmp_path, other, tmp_path / "second")).counts.stored == first.counts.stored


class Ended(BaseException):
    """What happens to a process that is killed."""


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
async def test_in_pieces_it_stores_the_same_rows(
    tmp_path: Path, database: AnyDatabase, site: Project, name: str, compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SAMPLES[name].text.encode()
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(data) if compressed else data)
    other = await new_site(database, "other.example")
    whole = await import_file(database, tmp_path, other, path)
    monkeypatch.setattr(reading, "LINES_MAX", 1)
    hand_over = Delivery.hand_over
    ended = 0

    def interrupted(delivery: Delivery, package: Package) -> None:
        nonlocal ended
        if before_it := ended % 2:
            ended += 1
        if not before_it:
            hand_over(delivery, package)
            ended += 1
        raise Ended

    monkeypatch.setattr(Delivery, "hand_over", interrupted)
    found: Import | None = None
    while found is None:
        try:
            found = await import_file(database, tmp_path, site, path)
        except Ended:
            continue
    assert ended > 3
    assert found.counts == whole.counts
    hosts = {"example.com": "other.example"}  # where the file names none, it is the project's
    expected = [tuple(hosts.get(cell, cell) for cell in row) for row in await rows(database, site)]
    assert expected == [tuple(hosts.get(cell, cell) for cell in row) for row in await rows(database, other)]


def test_what_is_not_understood_is_told_what_is() -> None:
    with pytest.raises(Invalid, match=r"combined.*goatcounter|goatcounter.*combined") as fault:
        formats.detect(Head.of(b"hello,world\n1,2\n"))
    assert fault.value.field == "format"
    with pytest.raises(Invalid, match=r"There is no format 'w3c'\. Understood are: "):
        formats.by_name("w3c")
    assert len({known.name for known in formats.FORMATS}) == len(formats.FORMATS)
    assert {known.name for known in formats.FORMATS} == {*SAMPLES, "plausible"}  # which has tests of its own


@pytest.mark.parametrize("data", [b"\0\1\2", b"{", b"[]\n", b'{"a":1}\n', b"\xff\xfe", b"a", b'"', b",,,\n"])
def test_rubbish_is_no_format(data: bytes) -> None:
    with pytest.raises(Invalid):
        formats.detect(Head.of(data))


@pytest.mark.parametrize("name", SAMPLES)
async def test_whatever_a_file_holds_it_is_read_to_its_end(database: AnyDatabase, site: Project, name: str) -> None:
    """Bytes of the sample become others in turn: lines are refused, never the import."""
    text = SAMPLES[name].text.encode()
    known = formats.by_name(name)
    read = known.reader(Head.of(text), Context(site, honours=True, now=clock.now()))
    for place in range(0, len(text), 3):
        for wrong in (b"\0", b'"', b"\n", b"\xff"):
            changed = text[:place] + wrong + text[place + 1 :]
            lines = Lines(io.BytesIO(changed), whole=True)
            for record in records(lines, known.records):
                if not isinstance(record, Rejected):
                    with suppress(Rejected, Dropped):
                        read(record)
            assert lines.position == len(changed)
            assert lines.hasher.digest() == digest_of(changed)
