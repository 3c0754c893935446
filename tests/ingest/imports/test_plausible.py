"""Plausible's archive: each table's rows as figures of days, added up, once, and gone with their import."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance import clock
from appliance.clock import DAY
from appliance.errors import Invalid
from appliance.ingest.imports import identify, reading
from appliance.model import Project
from appliance.storage import audit, imports, projects
from appliance.storage.imported_figures import MEASURES
from tests.engines import AnyDatabase
from tests.ingest.imports.importing import combined, import_file
from tests.ingest.imports.test_run import ended_after

SPAN = "20240101_20240131"
FILES = {
    f"imported_visitors_{SPAN}.csv": "date,visitors,pageviews,bounces,visits,visit_duration\n"
    "2024-01-01,10,30,4,12,600\n2024-01-02,5,9,1,6,60\n",
    f"imported_sources_{SPAN}.csv": "date,source,referrer,utm_source,utm_medium,utm_campaign,utm_content,utm_term,"
    "pageviews,visitors,visits,visit_duration,bounces\n"
    "2024-01-01,Google,google.com,,,,,,10,4,5,100,1\n"
    "2024-01-01,Google,google.com/x,google,cpc,spring,,,5,3,3,10,0\n"
    "2024-01-01,,,,,,,,15,3,4,490,3\n",
    f"imported_pages_{SPAN}.csv": 'date,hostname,page,visits,visitors,pageviews\n2024-01-01,example.com,"/a,b",3,2,4\n',
    f"imported_entry_pages_{SPAN}.csv": "date,entry_page,visitors,entrances,visit_duration,bounces,pageviews\n"
    "2024-01-01,/,9,11,300,2,20\n",
    f"imported_exit_pages_{SPAN}.csv": "date,exit_page,visitors,visit_duration,exits,bounces,pageviews\n"
    "2024-01-01,/end,8,200,7,1,9",
    f"imported_custom_events_{SPAN}.csv": "date,name,link_url,path,visitors,events\n"
    "2024-01-01,Signup,,,2,3\n2024-01-02,Outbound Link: Click,https://x.example/,,1,1\n",
    f"imported_custom_props_{SPAN}.csv": "date,property,value,visitors,events\n2024-01-01,plan,pro,2,3\n",
    f"imported_locations_{SPAN}.csv": "date,country,region,city,visitors,visits,visit_duration,bounces,pageviews\n"
    "2024-01-01,DE,DE-BE,2950159,3,3,3,3,3\n",
    f"imported_devices_{SPAN}.csv": "date,device,visitors,visits,visit_duration,bounces,pageviews\n"
    "2024-01-01,Laptop,1,1,1,1,1\n2024-01-01,Desktop,2,2,2,2,2\n",
    f"imported_browsers_{SPAN}.csv": "date,browser,browser_version,visitors,visits,visit_duration,bounces,pageviews\n"
    "2024-01-01,Firefox,132.0,1,1,1,1,1\n2024-01-01,Firefox,131.0,2,2,2,2,2\n",
    f"imported_operating_systems_{SPAN}.csv": "date,operating_system,operating_system_version,visitors,visits,"
    "visit_duration,bounces,pageviews\n2024-01-01,Mac,15,1,1,1,1,1\n",
}


def archive(files: Mapping[str, str], *, backwards: bool = False) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in sorted(files.items(), reverse=backwards):
            made.writestr(f"export/{name}", text)
        made.writestr("read me.txt", "nothing of ours")
    return packed.getvalue()


@pytest.fixture
async def site(database: AnyDatabase) -> Project:
    return (await projects.create(database, name="Site", timezone="Asia/Tokyo", actor="t", at=clock.now())).project


JANUARY = 19723  # 2024-01-01 in days since 1970


async def figures(database: AnyDatabase) -> dict[tuple[int, str, str], tuple[int, ...]]:
    rows = await database.read(f"SELECT day, dimension, value, {', '.join(MEASURES)} FROM imported_figure")
    return {(row[0] - JANUARY, row[1], row[2]): tuple(row[3:]) for row in rows}


EXPECTED = {
    (0, "", ""): (10, 12, 30, 33, 4, 600),
    (1, "", ""): (5, 6, 9, 10, 1, 60),
    (0, "event:name", "pageview"): (10, 0, 30, 30, 0, 0),
    (1, "event:name", "pageview"): (5, 0, 9, 9, 0, 0),
    (0, "event:name", "Signup"): (2, 0, 0, 3, 0, 0),
    (1, "event:name", "Outbound Link: Click"): (1, 0, 0, 1, 0, 0),
    (0, "visit:source", "Google"): (7, 8, 15, 15, 1, 110),
    (0, "visit:source", ""): (3, 4, 15, 15, 3, 490),
    (0, "visit:referrer", "google.com"): (4, 5, 10, 10, 1, 100),
    (0, "visit:utm_campaign", "spring"): (3, 3, 5, 5, 0, 10),
    (0, "visit:utm_campaign", ""): (7, 9, 25, 25, 4, 590),
    (0, "event:page", "/a,b"): (2, 3, 4, 4, 0, 0),
    (0, "visit:entry_page", "/"): (9, 11, 20, 20, 2, 300),
    (0, "visit:exit_page", "/end"): (8, 7, 9, 9, 1, 200),
    (0, "event:props:plan", "pro"): (2, 0, 0, 3, 0, 0),
    (0, "visit:country", "DE"): (3, 3, 3, 3, 3, 3),
    (0, "visit:region", "DE-BE"): (3, 3, 3, 3, 3, 3),
    (0, "visit:device", "Desktop"): (3, 3, 3, 3, 3, 3),
    (0, "visit:browser", "Firefox"): (3, 3, 3, 3, 3, 3),
    (0, "visit:os", "macOS"): (1, 1, 1, 1, 1, 1),
}


async def test_each_table_becomes_figures_of_its_dimensions(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(archive(FILES))
    found = await import_file(database, tmp_path, site, path)
    lines = sum(text.rstrip("\n").count("\n") for text in FILES.values())
    assert (found.format, found.state, found.counts.figures, found.counts.stored) == ("plausible", "done", lines, 0)
    assert (found.counts.first, found.counts.last) == (JANUARY * DAY, (JANUARY + 1) * DAY)
    stored = await figures(database)
    assert {key: stored[key] for key in EXPECTED} == EXPECTED
    # Packed again in another order it is the same, and adds nothing.
    path.write_bytes(archive(FILES, backwards=True))
    assert (await import_file(database, tmp_path, site, path)).id == found.id
    assert await figures(database) == stored
    # Without events behind them they can be taken back, unless the import has gone on.
    with pytest.raises(Invalid):
        await imports.forget(database, found._replace(position=1), actor="t", at=clock.now())
    assert await figures(database) == stored
    assert (await audit.recent(database))[0].action == "import.create"
    await imports.forget(database, found, actor="t", at=clock.now())
    assert await figures(database) == {}
    assert (await audit.recent(database))[0].action == "import.forget"
    assert await imports.of_project(database, site.id) == []


async def test_in_pieces_it_is_the_same(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(archive(FILES))
    monkeypatch.setattr(reading, "LINES_MAX", 1)
    for _ in range(60):
        with ended_after(monkeypatch, 1):
            try:
                found = await import_file(database, tmp_path, site, path)
            except BaseException as error:
                assert type(error).__name__ == "Ended"  # noqa: PT017
                continue
        break
    assert found.state == "done"
    stored = await figures(database)
    assert {key: stored[key] for key in EXPECTED} == EXPECTED


async def test_days_with_visits_of_their_own_and_unknown_tables_are_left_out(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    log = tmp_path / "access.log"
    log.write_text(combined(1, time="01/Jan/2024:16:00:00 +0000"))  # the second of January in Tokyo
    await import_file(database, tmp_path, site, log)
    more = {
        f"imported_dreams_{SPAN}.csv": "date,dream,visitors\n2024-01-01,flying,3\n",
        f"imported_visitors_{SPAN}.csv": FILES[f"imported_visitors_{SPAN}.csv"] + "2024-02-30,1,1,1,1,1\n"
        "2024-01-01,many,1,1,1,1\n",
    }
    path = tmp_path / "export.zip"
    path.write_bytes(archive(more))
    counts = (await import_file(database, tmp_path, site, path)).counts
    assert counts.dropped == {"unknown_table": 1, "overlap": 1}
    assert [(fault.line, fault.code) for fault in counts.faults] == [(8, "not_a_date"), (9, "wrong_type")]
    assert await figures(database) == {
        (0, "", ""): (10, 12, 30, 30, 4, 600),
        (0, "event:name", "pageview"): (10, 0, 30, 30, 0, 0),
    }


@pytest.mark.parametrize("data", [archive({}), archive({"other.csv": "a,b\n1,2\n"})])
def test_other_archives_are_no_format(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(Invalid) as fault:
        identify.look_at(path, None)
    assert fault.value.code in ("empty_file", "unknown_format")


def test_a_damaged_archive_is_said(tmp_path: Path) -> None:
    whole = bytearray(archive(FILES))
    whole[60:90] = b"\0" * 30
    path = tmp_path / "x.zip"
    path.write_bytes(whole)
    with pytest.raises(Invalid) as fault:
        identify.look_at(path, None)
    assert fault.value.code == "damaged_file"
