"""What becomes of a file that grows, is replaced, damaged, or imported by several at once; on each engine."""

import asyncio
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.clock import DAY, MINUTE
from appliance.errors import DataFolderLocked, Invalid, StorageUnavailable
from appliance.ingest.batch import Batch
from appliance.ingest.drain import Drain
from appliance.ingest.imports import delivery, identify, lines, queue, reading, run
from appliance.ingest.imports.delivery import Delivery
from appliance.ingest.imports.package import Package
from appliance.model import Event, Project, ProjectSettings
from appliance.storage import imports, projects
from appliance.storage.data_folder import lock_data_folder
from tests.builders import START
from tests.engines import AnyDatabase, drain_store
from tests.ingest.imports.importing import GOOGLEBOT, combined, import_file, url_of


@pytest.fixture
async def site(database: AnyDatabase) -> Project:
    return (await projects.create(database, name="Site", domains=["example.com"], actor="t", at=clock.now())).project


async def paths(database: AnyDatabase) -> list[str]:
    select = "SELECT d.text FROM event e JOIN dictionary d ON d.dimension = 4 AND d.code = e.path ORDER BY e.time, e.id"
    return [text for (text,) in await database.read(select)]


def pages(first: int, last: int) -> str:
    return "".join(combined(number, f"/{number}") for number in range(first, last))


def names(first: int, last: int) -> list[str]:
    return [f"/{number}" for number in range(first, last)]


async def test_a_file_that_has_grown_is_read_on_from_where_it_ended(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    path = tmp_path / "access.log"
    path.write_text(combined(0, "/0"))  # less than is looked at to know a file by
    first = await import_file(database, tmp_path, site, path)
    for size in (2, 40, 41):
        path.write_text(pages(0, size))
        found = await import_file(database, tmp_path, site, path)
        assert (found.id, found.counts.stored, found.position) == (first.id, size, path.stat().st_size)
        assert (found.line, found.head_bytes) == (size, min(1024, path.stat().st_size))
    assert await paths(database) == names(0, 41)


async def test_a_rotated_file_is_known_and_the_new_one_is_another(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    path = tmp_path / "access.log"
    path.write_text(pages(0, 20))
    await import_file(database, tmp_path, site, path)
    path.write_text(pages(0, 30))
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.write_text(pages(30, 50))
    for name in ("access.log", "access.log.1.gz", "access.log"):
        await import_file(database, tmp_path, site, tmp_path / name)
    assert sorted(await paths(database)) == sorted(names(0, 50))
    assert len(await imports.of_project(database, site.id)) == 2


async def test_an_earlier_copy_adds_nothing_and_what_only_begins_alike_is_another_file(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    (tmp_path / "a").write_text(pages(0, 30))
    (tmp_path / "earlier").write_text(pages(0, 20))
    (tmp_path / "other").write_text(pages(0, 15) + pages(50, 80))
    first = await import_file(database, tmp_path, site, tmp_path / "a")
    assert (await import_file(database, tmp_path, site, tmp_path / "earlier")).id == first.id
    assert len(await paths(database)) == 30
    other = await import_file(database, tmp_path, site, tmp_path / "other")
    assert (other.id != first.id, other.counts.stored) == (True, 45)
    assert (await import_file(database, tmp_path, site, tmp_path / "other")).id == other.id
    assert len(await paths(database)) == 75


@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
async def test_an_import_that_ended_before_it_could_say_so_says_it_the_next_time(
    tmp_path: Path, database: AnyDatabase, site: Project, state: str
) -> None:
    path = tmp_path / "access.log"
    path.write_text(pages(0, 20))
    first = await import_file(database, tmp_path, site, path)
    await database.write("UPDATE import SET state = :state, ended_at = NULL", {"state": state})
    again = await import_file(database, tmp_path, site, path)
    assert (again.id, again.state, again.counts) == (first.id, "done", first.counts)
    assert again.ended_at is not None
    assert await paths(database) == names(0, 20)


async def test_equal_lines_are_real(tmp_path: Path, database: AnyDatabase, site: Project) -> None:
    path = tmp_path / "access.log"
    path.write_text(combined(1, "/a") * 5)
    assert (await import_file(database, tmp_path, site, path)).counts.stored == 5
    assert await database.read("SELECT events FROM visit") == [(5,)]


async def test_a_last_line_that_is_being_written_is_waited_for(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "QUIET_SECONDS", 0.3)
    path = tmp_path / "access.log"
    whole = pages(0, 3)
    path.write_text(whole[:-40])
    importing = asyncio.create_task(import_file(database, tmp_path, site, path))
    await asyncio.sleep(0.1)
    with path.open("a") as file:
        file.write(whole[-40:])
    found = await importing
    assert (found.counts.stored, found.counts.refused) == (3, 0)
    path.write_text(whole + combined(3, "/3").rstrip())
    os.utime(path, (0, 0))  # nobody writes to it
    assert (await import_file(database, tmp_path, site, path)).counts.stored == 4
    path.write_text(whole + combined(3, "/3") + combined(4, "/4"))
    assert (await import_file(database, tmp_path, site, path)).counts.stored == 5


async def test_lines_that_are_too_long_are_passed_over(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 400)
    path = tmp_path / "access.log"
    path.write_text(combined(0, "/0") + "x" * 1700 + "\n" + combined(1, "/1") + "y" * 400 + "\n" + combined(2, "/2"))
    found = await import_file(database, tmp_path, site, path)
    assert await paths(database) == names(0, 3)
    assert [(fault.line, fault.code) for fault in found.counts.faults] == [(2, "line_too_long"), (4, "line_too_long")]


async def test_a_file_that_is_cut_off_fails_and_goes_on_when_it_is_whole(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVENTS_MAX", 10)
    whole = gzip.compress(pages(0, 4000).encode())
    path = tmp_path / "access.log.gz"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    found = await import_file(database, tmp_path, site, path)
    assert found.state == "failed"
    assert "cut off" in found.error
    assert 0 < found.counts.stored < 4000
    path.write_bytes(whole)
    again = await import_file(database, tmp_path, site, path)
    assert (again.id, again.state, again.error, again.counts.stored) == (found.id, "done", "", 4000)
    assert await paths(database) == names(0, 4000)


async def test_a_file_that_is_another_one_by_now_fails(tmp_path: Path, database: AnyDatabase, site: Project) -> None:
    path = tmp_path / "access.log"
    path.write_text(pages(0, 20))
    found = await import_file(database, tmp_path, site, path)
    await imports.take_up(
        database, found, head=path.read_bytes()[:1024], bytes_total=1, state="running", file_format="combined", at=1
    )
    path.write_text(pages(20, 60))
    where = run.Where(tmp_path, url_of(database), None)
    ended = await run.run(database, where, found.id, path, alone=True)
    assert (ended.state, ended.counts.stored) == ("failed", 20)
    assert "not the one" in ended.error


async def test_another_format_is_possible_only_while_nothing_is_stored(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    path = tmp_path / "access.log"
    path.write_text(pages(0, 3))
    wrong = await import_file(database, tmp_path, site, path, file_format="alb")
    assert (wrong.counts.stored, wrong.counts.refused) == (0, 3)
    right = await import_file(database, tmp_path, site, path, file_format="combined")
    assert (right.id, right.format, right.counts.stored, right.counts.refused) == (wrong.id, "combined", 3, 0)
    with pytest.raises(Invalid, match="imported as combined already"):
        await import_file(database, tmp_path, site, path, file_format="common")
    assert (await import_file(database, tmp_path, site, path)).counts.stored == 3


async def test_bots_old_times_and_names_are_handled_as_for_events_that_are_sent(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    keep = ProjectSettings(drop_bots=False, raw_retention_days=30, trust_stated_address=False)
    site = await projects.update(database, site, settings=keep, actor="t", at=clock.now())
    path = tmp_path / "access.log"
    path.write_text(combined(1, "/1", agent=GOOGLEBOT) + combined(1, "/1") + combined(2, "/1"))
    found = await import_file(database, tmp_path, site, path)
    assert (found.counts.stored, found.counts.dropped) == (3, {})
    # Before what is kept: the time of receipt. An address is believed although the site believes no server's.
    ((first, visitors),) = await database.read("SELECT min(e.time), (SELECT count(*) FROM visit) FROM event e")
    assert first > clock.now() - DAY
    assert visitors == 3


# ---------------------------------------------------------------- identity


async def test_visitors_are_told_apart_by_salts_of_the_import_that_end_with_it(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVENTS_MAX", 2)
    path = tmp_path / "access.log"
    text = "".join(
        combined(number, f"/{hour}", time=f"0{day}/Mar/2026:{hour:02}:00:00 +0000")
        for day in (1, 2, 3)
        for hour in (1, 2)
        for number in (1, 2)
    )
    path.write_text(text)
    with ended_after(monkeypatch, 3), pytest.raises(Ended):
        await import_file(database, tmp_path, site, path)
    ((salts,),) = await database.read("SELECT count(*) FROM import_salt")
    assert salts > 0
    await import_file(database, tmp_path, site, path)
    # One salt a day, whoever made it: each address is one visitor a day.
    select = "SELECT salt_day, count(DISTINCT visitor), count(*) FROM visit GROUP BY 1 ORDER BY 1"
    days = await database.read(select)
    assert [row[1:] for row in days] == [(2, 4), (2, 4), (2, 4)]
    assert await database.read("SELECT count(*) FROM import_salt") == [(0,)]
    ((visitors,),) = await database.read("SELECT count(DISTINCT visitor) FROM visit")
    assert visitors == 6


async def test_a_visit_over_midnight_is_one(tmp_path: Path, database: AnyDatabase, site: Project) -> None:
    path = tmp_path / "access.log"
    path.write_text(
        combined(1, "/a", time="01/Mar/2026:23:55:00 +0000") + combined(1, "/b", time="02/Mar/2026:00:05:00 +0000")
    )
    await import_file(database, tmp_path, site, path)
    assert await database.read("SELECT events FROM visit") == [(2,)]


async def test_salts_of_today_stay_for_a_log_that_is_imported_again_and_again(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    path = tmp_path / "access.log"
    now = clock.now()
    at = [f"{_moment(now - minutes * MINUTE):%d/%b/%Y:%H:%M:%S} +0000" for minutes in (4, 1)]
    path.write_text(combined(1, "/a", time=at[0]))
    await import_file(database, tmp_path, site, path)
    path.write_text(combined(1, "/a", time=at[0]) + combined(1, "/b", time=at[1]))
    await import_file(database, tmp_path, site, path)
    assert await database.read("SELECT events FROM visit") == [(2,)]
    assert (await database.read("SELECT count(*) FROM import_salt"))[0][0] > 0
    await imports.forget_salts(database, now + 3 * DAY)
    assert await database.read("SELECT count(*) FROM import_salt") == [(0,)]


def _moment(time: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time / 1e6, UTC)


# ---------------------------------------------------------------- several at once


class Ended(BaseException):
    """What happens to a process that is killed."""


@contextmanager
def ended_after(monkeypatch: pytest.MonkeyPatch, packages: int) -> Iterator[None]:
    """The importer ends when it has stored so many packages."""
    hand_over = Delivery.hand_over
    left = packages

    def some(self: Delivery, package: Package) -> None:
        nonlocal left
        if left == 0:
            raise Ended
        left -= 1
        hand_over(self, package)

    with monkeypatch.context() as patched:
        patched.setattr(Delivery, "hand_over", some)
        yield


async def test_who_works_on_a_file_keeps_others_from_it(tmp_path: Path, database: AnyDatabase, site: Project) -> None:
    path = tmp_path / "access.log"
    path.write_text(pages(0, 3))
    found = await import_file(database, tmp_path, site, path)
    path.write_text(pages(0, 6))
    # A lock of another process: locks of one process never keep itself out.
    holder = await asyncio.create_subprocess_exec(
        "python3", "-c",
        "import fcntl, sys, uuid\n"
        "file = open(sys.argv[1], 'a')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, uuid.UUID(sys.argv[2]).int >> 66)\n"
        "print(flush=True)\nsys.stdin.read()",
        str(tmp_path / "imports" / "lock"), found.id,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdin is not None
    await holder.stdout.readline()
    with pytest.raises(Invalid, match="being imported") as fault:
        await import_file(database, tmp_path, site, path)
    assert fault.value.status == 409
    holder.stdin.close()
    await holder.wait()
    assert (await import_file(database, tmp_path, site, path)).counts.stored == 6


async def test_an_import_that_was_stopped_stores_nothing_more(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVENTS_MAX", 2)
    path = tmp_path / "access.log"
    path.write_text(pages(0, 10))
    with ended_after(monkeypatch, 2), pytest.raises(Ended):
        await import_file(database, tmp_path, site, path)
    (found,) = await imports.of_project(database, site.id)
    assert (found.state, found.counts.stored) == ("running", 4)
    await imports.stop(database, found, actor="t", at=clock.now())
    where = run.Where(tmp_path, url_of(database), None)
    assert (await run.run(database, where, found.id, path, alone=True)).state == "stopped"
    assert len(await paths(database)) == 4
    with pytest.raises(Invalid, match="stays"):
        await imports.forget(database, found, actor="t", at=clock.now())
    # Given again, it goes on.
    assert (await import_file(database, tmp_path, site, path)).counts.stored == 10
    assert await paths(database) == names(0, 10)


async def test_when_the_call_is_cancelled_what_was_read_is_stored(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVENTS_MAX", 1)
    path = tmp_path / "access.log"
    path.write_text(pages(0, 3000))
    importing = asyncio.create_task(import_file(database, tmp_path, site, path))
    while not await database.read("SELECT 1 FROM event LIMIT 1"):
        await asyncio.sleep(0.01)
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    (found,) = await imports.of_project(database, site.id)
    assert found.state == "stopped"
    assert 0 < found.counts.stored == len(await paths(database)) < 3000


async def test_a_package_that_comes_twice_or_late_is_void(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVENTS_MAX", 2)
    path = tmp_path / "access.log"
    path.write_text(pages(0, 6))
    packages: list[Package] = []
    monkeypatch.setattr(Delivery, "hand_over", lambda self, package: packages.append(package))
    monkeypatch.setattr(run, "ATTEMPTS_MAX", 1)
    found = await import_file(database, tmp_path, site, path)
    assert (found.state, found.counts.stored) == ("failed", 0)  # nothing came
    taken = await imports.take_up(
        database, found, head=path.read_bytes()[:1024], bytes_total=1, state="running", file_format="combined", at=1
    )
    store = drain_store(database)
    with closing(store):
        drain = Drain(tmp_path / "journal", b"", store)
        first, second, third = packages[:3]
        assert drain.take_package(second) is None
        for package, stored in ((first, 2), (first, None), (second, 2), (third, 2), (second, None)):
            applied = drain.take_package(package)
            assert (None if applied is None else len(applied.stored)) == stored
    assert await paths(database) == names(0, 6)
    ended = await imports.find(database, taken.id)
    assert ended is not None
    assert (ended.position, ended.counts.stored, ended.line) == (path.stat().st_size, 6, 6)


async def test_an_event_that_the_database_refuses_is_set_aside(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Batch._row

    def refuse(self: Batch, tx: Any, event: Event, *rest: Any) -> Any:
        if event.name == "bad":
            raise ValueError("no such event")
        return row(self, tx, event, *rest)

    monkeypatch.setattr(Batch, "_row", refuse)
    path = tmp_path / "x.ndjson"
    path.write_text(
        "".join(
            json.dumps({"event": name, "user_id": "u", "timestamp": START} | exact) + "\n"
            for exact in ({}, {"visitor": "0" * 16, "visit_id": 1})
            for name in ("a", "bad", "b")
        )
    )
    found = await import_file(database, tmp_path, site, path)
    assert (found.state, found.counts.stored, found.counts.refused) == ("done", 4, 2)
    assert await database.read("SELECT events FROM visit ORDER BY id") == [(2,), (2,)]
    assert await database.read("SELECT error FROM dead_letter") == [("ValueError: no such event",)] * 2


async def test_a_database_that_is_away_is_waited_for(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FOLLOW_SECONDS", 0.01)
    take_package, away = Drain.take_package, iter([True, True, False, True])

    def sometimes(self: Drain, package: Package) -> Any:
        if next(away, False):
            raise StorageUnavailable
        return take_package(self, package)

    monkeypatch.setattr(Drain, "take_package", sometimes)
    monkeypatch.setattr(reading, "EVENTS_MAX", 2)
    path = tmp_path / "access.log"
    path.write_text(pages(0, 6))
    assert (await import_file(database, tmp_path, site, path)).state == "done"
    assert await paths(database) == names(0, 6)


async def test_when_the_server_goes_the_importer_stores_by_itself(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(reading, "EVENTS_MAX", 2)
    path = tmp_path / "access.log"
    path.write_text(pages(0, 30))
    lock = lock_data_folder(tmp_path)  # somebody serves, and takes nothing
    importing = asyncio.create_task(import_file(database, tmp_path, site, path))
    folder = queue.folder_of(tmp_path)
    while len(queue.waiting(folder)) < delivery.DEPTH:
        await asyncio.sleep(0.01)
    assert await paths(database) == []
    lock.close()
    assert (await importing).counts.stored == 30
    assert await paths(database) == names(0, 30)
    assert queue.waiting(folder) == []


# ---------------------------------------------------------------- following


async def test_following_a_log_through_rotation(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FOLLOW_SECONDS", 0.02)
    path = tmp_path / "access.log"
    path.write_text(pages(0, 2))
    following = asyncio.create_task(import_file(database, tmp_path, site, path, follow=True))

    async def stored(number: int) -> None:
        async with asyncio.timeout(10):
            while len(await paths(database)) < number:
                await asyncio.sleep(0.02)

    await stored(2)
    with path.open("a") as file:
        file.write(pages(2, 3) + combined(3, "/3")[:50])
    await stored(3)
    # While nothing comes, a server may have the folder; what was just stored is let go of a moment later.
    async with asyncio.timeout(10):
        while True:
            with suppress(DataFolderLocked):
                lock_data_folder(tmp_path).close()
                break
            await asyncio.sleep(0.02)
    with path.open("a") as file:
        file.write(combined(3, "/3")[50:] + pages(4, 6))
    await stored(6)
    path.rename(tmp_path / "access.log.1")
    with (tmp_path / "access.log.1").open("a") as file:
        file.write(pages(6, 8))
    path.write_text(pages(8, 20))
    found = await following
    assert (found.state, found.counts.stored) == ("done", 8)
    assert (await import_file(database, tmp_path, site, path)).id != found.id
    assert await paths(database) == names(0, 20)


async def test_a_log_that_is_cut_short_in_place_is_another_one(
    tmp_path: Path, database: AnyDatabase, site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FOLLOW_SECONDS", 0.02)
    path = tmp_path / "access.log"
    path.write_text(pages(0, 5))
    following = asyncio.create_task(import_file(database, tmp_path, site, path, follow=True))
    while len(await paths(database)) < 5:
        await asyncio.sleep(0.02)
    os.truncate(path, 0)
    assert (await following).state == "done"
    path.write_text(pages(5, 7))
    await import_file(database, tmp_path, site, path)
    assert await paths(database) == names(0, 7)


# ---------------------------------------------------------------- what a file may be


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"PK\x03\x04rest", "damaged_file"),
        (b"\x1f\x8b\x08", "damaged_file"),
        (b"?", "unknown_format"),
    ],
)
async def test_what_cannot_be_imported_is_said(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(Invalid) as fault:
        identify.look_at(path, None)
    assert fault.value.code == code
    with pytest.raises(Invalid, match="No such file"):
        identify.look_at(tmp_path / "none", None)


async def test_ids_that_were_sent_already_are_not_stored_again(
    tmp_path: Path, database: AnyDatabase, site: Project
) -> None:
    (tmp_path / "a.csv").write_text(f"event,event_id,timestamp,user_id\na,one,{START},u\nb,two,{START},u\n")
    (tmp_path / "b.csv").write_text(f"event,event_id,timestamp,user_id\nb,two,{START},u\nc,three,{START},u\n")
    await import_file(database, tmp_path, site, tmp_path / "a.csv")
    found = await import_file(database, tmp_path, site, tmp_path / "b.csv")
    assert (found.counts.stored, found.counts.duplicates) == (1, 1)
