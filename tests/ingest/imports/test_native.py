"""Our own exports come back as they were; native events in files are taken as if they were sent."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from appliance import clock
from appliance.clock import DAY, MINUTE
from appliance.ingest.imports import reading, run
from appliance.model import Event, Flag, Project
from appliance.queries import export
from appliance.queries.tabular import csv_bytes, ndjson_bytes
from appliance.storage import projects
from appliance.storage.sqlite.database import SqliteDatabase
from tests.builders import ANN, BOB, START, engagement, event, pageview, user_event
from tests.ingest.imports.importing import import_file
from tests.storage.test_seal import MONDAY, Place, traffic


async def lines(db: SqliteDatabase, kind: str, path: Path, project_id: int = 1) -> list[dict[str, Any]]:
    """The events of a project, exported into a file; gives the lines, without the numbers of visits."""
    columns = export.DATASETS["events"]
    rows = [row async for batch in export.rows(db, "events", project_id, 0, 1 << 62) for row in batch]
    as_objects = [export.as_object(columns, row) for row in rows]
    path.write_bytes(ndjson_bytes(as_objects) if kind == "ndjson" else csv_bytes([columns, *rows]))
    found = [json.loads(line) for line in ndjson_bytes(as_objects).splitlines()]
    visits: dict[int, int] = {}
    for line in found:
        line["visit_id"] = visits.setdefault(line["visit_id"], len(visits))
    return found


async def copy_of(source: SqliteDatabase, folder: Path, kind: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines of an export, and those of an export of its import."""
    before = await lines(source, kind, folder / f"first.{kind}")
    target = SqliteDatabase(folder / "second.db")
    await target.open()
    project = (await projects.create(target, name="Site", actor="test", at=clock.now())).project
    found = await import_file(target, folder, project, folder / f"first.{kind}")
    assert found.state == "done" and found.counts.refused == 0, found.counts.faults
    after = await lines(target, kind, folder / f"again.{kind}", project.id)
    await target.close()
    return before, after


def in_order(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(line, sort_keys=True) for line in found)


@pytest.mark.parametrize("seed", range(4))
async def test_a_second_export_is_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(reading, "EVENTS_MAX", 5)
    random, sent = Random(seed), list[Event]()
    place = Place(tmp_path / "first")
    for _ in range(8):
        some = traffic(random, sent)
        sent += some
        place.apply(*some)
    if seed % 2:
        place.seal(MONDAY)
    source = SqliteDatabase(place.path)
    await source.open()
    before, after = await copy_of(source, tmp_path, "ndjson")
    # What is sealed comes first, so numbers of visits may differ.
    for line in (*before, *after):
        line["visit_id"] = 0
    assert in_order(after) == in_order(before)
    assert len(before) > 20
    await source.close()
    place.close()


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
async def test_whatever_is_stored_of_an_event_and_its_visit_comes_back(tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path / "first")
    read = pageview(0, "/a", ANN, title='Ä "t"', flags=Flag.BROWSER, referrer="a.example/x", utm_source="=letter")
    other_device = event(2, ANN, country="US", browser="Chrome", source="web", properties='{"a":[1,"ä\\n"],"b":"+1"}')
    place.apply(
        read,
        engagement(9, read, 70, 4000),
        other_device,
        event(3, BOB, name="pageview", revenue=-1999, currency="EUR", rate=250_000, flags=Flag.BY_VISITOR),
        event(4, BOB, name="x", revenue=5, currency="JPY", flags=Flag.PASSIVE | Flag.SKEWED, salt_day=None),
        user_event(5, "u", ANN),
        event(6, -7, session_id="s", name="identify", received=START + DAY + 123_000, salt_day=1),
    )
    source = SqliteDatabase(place.path)
    await source.open()
    before, after = await copy_of(source, tmp_path, kind)
    assert after == before
    assert {line["event"]: line["kind"] for line in before} | {"x": "custom"} == {
        "pageview": "custom", "click": "custom", "x": "custom", "identify": "custom",
    }  # fmt: skip
    assert [line["visit_end"] for line in before][:1] == ["2026-03-02T12:09:00.000000Z"]
    assert {line.get("visit_user_id") for line in before} == {None, "u"}
    await source.close()
    place.close()


@pytest.fixture
async def site(database: SqliteDatabase) -> Project:
    return (await projects.create(database, name="Site", domains=["example.com"], actor="t", at=clock.now())).project


async def test_who_is_no_owner_has_the_events_taken_as_if_they_were_sent(
    tmp_path: Path, database: SqliteDatabase, site: Project
) -> None:
    place = Place(tmp_path / "first")
    place.apply(
        pageview(0, "/a b%", ANN, referrer="www.google.com/", referrer_source="Google", utm_campaign="c", title="T"),
        event(1, ANN, revenue=1999, currency="EUR", flags=Flag.PASSIVE, properties='{"a":1}'),
    )
    source = SqliteDatabase(place.path)
    await source.open()
    await lines(source, "ndjson", tmp_path / "x.ndjson")
    await import_file(database, tmp_path, site, tmp_path / "x.ndjson", honours=False)
    got = await lines(database, "ndjson", tmp_path / "again.ndjson", site.id)
    assert [line["visitor"] for line in got] != ["0000000000000065"] * 2
    assert [(line["event"], line["path"], line.get("revenue"), line["interactive"]) for line in got] == [
        ("pageview", "/a b%", None, 1),
        ("click", "/", "19.99", 0),
    ]
    assert got[0]["referrer_source"] == "Google" and got[0]["utm_campaign"] == "c" and got[0]["title"] == "T"
    assert all("imported" in line["flags"] for line in got)
    await source.close()
    place.close()


NATIVE = """\
{"event":"signup","user_id":"ann","timestamp":"2019-05-06T07:08:09Z","event_id":"e-1","properties":{"plan":"pro"}}
{"event":"signup","user_id":"ann","timestamp":"2019-05-06T07:08:09Z","event_id":"e-1","properties":{"plan":"pro"}}
{"event":"pageview","url":"https://example.com/a?utm_source=x","user_id":7,"timestamp":1557126489}
{"event":"pageview","timestamp":"last week"}

{"event":["a"]}
not json
{"event":"sale","revenue":{"amount":"9.99","currency":"EUR"},"user_id":"bob","timestamp":"2019-05-06T08:00:00Z"}
{"event":"identify","user_id":"ann","traits":{"plan":"pro"},"timestamp":"2019-05-06T08:00:01Z"}"""


async def test_native_events_keep_their_times_and_bad_lines_are_named(
    tmp_path: Path, database: SqliteDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "QUIET_SECONDS", 0.0)  # the last line has no end
    path = tmp_path / "events.ndjson"
    path.write_text(NATIVE)
    found = await import_file(database, tmp_path, site, path, source="billing", file_format="ndjson")
    counts = found.counts
    assert (counts.stored, counts.duplicates, counts.refused) == (3, 1, 3)
    assert [(fault.line, fault.code) for fault in counts.faults] == [
        (4, "not_a_time"), (6, "wrong_type"), (7, "malformed_line"),
    ]  # fmt: skip
    got = await lines(database, "ndjson", tmp_path / "again.ndjson", site.id)
    assert [(line["event"], line["timestamp"][:10], line["source"]) for line in got] == [
        (name, "2019-05-06", "billing") for name in ("signup", "pageview", "sale")
    ]
    ((traits,),) = await database.read("SELECT traits FROM user_trait")
    assert json.loads(traits) == {"plan": "pro"}


async def test_a_csv_of_native_fields(tmp_path: Path, database: SqliteDatabase, site: Project) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "\ufeffevent,timestamp,url,user_id,properties,revenue,currency,interactive,colour\r\n"
        'sale,2026-03-02T10:00:00Z,https://example.com/b,ann,"{""a"":1}",12.5,EUR,false,red\r\n'
        'note,2026-03-02T10:01:00Z,"https://example.com/c\r\n",ann,,,,,\r\n'
        "bad,2026-03-02T10:02:00Z,,ann,[1],,,,\r\n"
        "short,2026-03-02T10:03:00Z\r\n"
    )
    found = await import_file(database, tmp_path, site, path)
    assert found.format == "csv"
    assert [(fault.line, fault.code) for fault in found.counts.faults] == [(5, "wrong_type")]
    got = await lines(database, "ndjson", tmp_path / "again.ndjson", site.id)
    assert [(line["event"], line.get("path"), line.get("revenue"), line["interactive"]) for line in got] == [
        ("sale", "/b", "12.50", 0),
        ("note", "/c", None, 1),
        ("short", None, None, 1),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"visitor": "12"}, "malformed"),
        ({"visitor": "zzzzzzzzzzzzzzzz"}, "malformed"),
        ({"timestamp": None}, "missing"),
        ({"kind": "engagement"}, "unknown"),
        ({"flags": "browser odd"}, "unknown"),
        ({"salt_day": "yesterday"}, "not_a_date"),
        ({"rate": 0}, "wrong_type"),
        ({"visit_id": -1}, "wrong_type"),
        ({"visit_end": "x"}, "not_a_time"),
        ({"revenue": "much", "currency": "EUR"}, "not_money"),
        ({"properties": [1]}, "wrong_type"),
        ({"engaged_ms": -5}, "out_of_range"),
        ({"scroll_depth": 101}, "out_of_range"),
        ({"event": ""}, "missing"),
    ],
)
async def test_what_an_export_never_says_is_refused(
    tmp_path: Path, database: SqliteDatabase, site: Project, change: dict[str, Any], code: str
) -> None:
    good = {
        "event": "pageview", "event_id": "e", "kind": "pageview", "timestamp": "2026-03-02T12:00:00Z", "visit_id": 1,
        "visitor": "0000000000000065", "path": "/", "rate": 1_000_000,
    }  # fmt: skip
    path = tmp_path / "x.ndjson"
    path.write_text(json.dumps(good) + "\n" + json.dumps(good | change) + "\n")
    counts = (await import_file(database, tmp_path, site, path)).counts
    assert (counts.stored, [(fault.line, fault.code) for fault in counts.faults]) == (1, [(2, code)])


async def test_events_of_one_number_too_far_apart_are_no_visit(
    tmp_path: Path, database: SqliteDatabase, site: Project
) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text(
        "".join(
            json.dumps({"event": "a", "visitor": "0" * 16, "visit_id": 5, "timestamp": START + minutes * MINUTE}) + "\n"
            for minutes in (0, 30, 3 * 1440, 3 * 1440 + 5)
        )
    )
    await import_file(database, tmp_path, site, path)
    assert await database.read("SELECT events FROM visit ORDER BY start") == [(2,), (2,)]
