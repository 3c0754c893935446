"""Uploading by the API, and following what becomes of it."""

import asyncio
import errno
import gzip
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance import clock
from appliance.ingest.imports import spool
from appliance.ingest.imports.host import STRANGERS_MAX
from appliance.storage import imports, keys, projects
from appliance.web.api import imports as api
from tests.ingest.imports.importing import combined
from tests.running import Running

UPLOAD, IMPORTS = "/api/v1/upload", "/api/v1/imports"


@pytest.fixture
async def site(running: Running) -> AsyncIterator[Running]:
    """The same appliance with a project of its own."""
    made = await projects.create(
        running.appliance.database, name="Imports", private_key=True, actor="test", at=clock.now()
    )
    async with Running(running.appliance, made) as joined:
        yield joined


def owner(site: Running) -> dict[str, str]:
    return {"authorization": f"Bearer {site.private}"}


async def ended(site: Running, import_id: str, **headers: str) -> dict[str, Any]:
    """An import, once it has ended."""
    async with asyncio.timeout(30):
        while True:
            answer = await site.http.get(f"{IMPORTS}/{import_id}", headers=headers or owner(site))
            assert answer.status_code == 200
            found: dict[str, Any] = answer.json()
            if found["state"] not in ("waiting", "running"):
                return found
            await asyncio.sleep(0.05)


async def count(site: Running) -> int:
    select = "SELECT count(*) FROM event WHERE project_id = :id"
    ((number,),) = await site.appliance.database.read(select, {"id": site.project.id})
    return int(number)


NATIVE = b'{"event":"a","user_id":"u","timestamp":1557126489}\n{"event":"b"}\nnonsense\n'


async def test_an_upload_is_answered_at_once_and_can_be_followed(site: Running) -> None:
    answer = await site.http.post(f"{UPLOAD}?name=e.ndjson&source=app", content=NATIVE, headers=owner(site))
    assert answer.status_code == 202
    sent = answer.json()
    assert answer.headers["location"] == f"{IMPORTS}/{sent['id']}"
    assert (sent["name"], sent["format"], sent["state"], sent["rows"]) == ("e.ndjson", "ndjson", "waiting", 0)
    found = await ended(site, sent["id"])
    assert (found["state"], found["rows"], found["refused"], found["lines"]) == ("done", 2, 1, 3)
    assert found["faults"] == [{"line": 3, "code": "malformed_line", "message": "the line is not a JSON object"}]
    assert (found["progress"], found["bytes_read"], found["bytes_total"]) == (1.0, len(NATIVE), len(NATIVE))
    assert found["first_event_at"] == "2019-05-06T07:08:09+00:00"
    assert await count(site) == 2
    # Again, compressed and by a form: the same import, which has nothing left to do.
    form = {"file": ("again.gz", gzip.compress(NATIVE), "application/gzip")}
    again = await site.http.post(UPLOAD + "/", files=form, data={"source": "x"}, headers=owner(site))
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, sent["id"], "done")
    listed = await site.http.get(IMPORTS, headers=owner(site))
    assert [each["id"] for each in listed.json()["imports"]] == [sent["id"]]
    assert await count(site) == 2
    folder = site.appliance.settings.data_dir / "imports"
    async with asyncio.timeout(5):
        while list(folder.glob("*.upload")):
            await asyncio.sleep(0.05)
    assert list(folder.glob("*.part")) == []


async def test_a_public_key_uploads_native_events_and_follows_them(
    site: Running, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = {"x-api-key": site.key}
    exact = b'{"event":"a","timestamp":1,"visit_id":1,"visitor":"0000000000000007","flags":"browser","rate":5}\n'
    sent = (await site.http.post(UPLOAD, content=exact, headers=public)).json()
    found = await ended(site, sent["id"], **public)
    assert (found["state"], found["rows"]) == ("done", 1)
    select = "SELECT v.visitor, e.flags, e.rate FROM event e JOIN visit v ON v.id = e.visit_id WHERE e.project_id = :id"
    ((visitor, flags, rate),) = await site.appliance.database.read(select, {"id": site.project.id})
    assert (visitor != 7, flags & 8, rate) == (True, 0, 1_000_000)  # only an owner is believed
    log = await site.http.post(UPLOAD, content=combined(1).encode(), headers=public)
    assert (log.status_code, log.json()["code"]) == (403, "private_key_needed")
    assert (await site.http.get(IMPORTS, headers=public)).json()["code"] == "public_key"
    assert (await site.http.delete(f"{IMPORTS}/{sent['id']}", headers=public)).status_code == 403
    assert (await site.http.get(f"{IMPORTS}/{sent['id']}", headers={"x-api-key": running.key})).status_code == 404
    monkeypatch.setattr(api, "PUBLIC_BYTES_MAX", 10)
    large = await site.http.post(UPLOAD, content=NATIVE, headers=public)
    assert (large.status_code, large.json()["code"]) == (413, "upload_too_large")


@pytest.mark.parametrize(("scopes", "status"), [(("send",), 202), (("manage",), 202), (("read",), 403)])
async def test_what_a_private_key_may_do(site: Running, scopes: tuple[str, ...], status: int) -> None:
    minted = await keys.mint(
        site.appliance.database, site.project.public_id, "private", scopes=scopes, actor="t", at=clock.now()
    )
    headers = {"authorization": f"Bearer {minted.token}"}
    content = combined(1, f"/{scopes[0]}").encode()
    answer = await site.http.post(UPLOAD, content=content, headers=headers)
    assert answer.status_code == status
    if status == 202:
        found = await imports.find(site.appliance.database, answer.json()["id"])
        assert found is not None
        assert found.honoured is ("manage" in scopes)


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"authorization": ""}, NATIVE, 401, "missing_key"),
        ({"authorization": "Bearer sa_priv_wrong"}, NATIVE, 401, "unknown_key"),
        ({"origin": "https://a.example"}, NATIVE, 401, "private_key_from_browser"),
        ({}, b"", 422, "empty_file"),
        ({}, b"some words\n", 422, "unknown_format"),
        ({"content-encoding": "br"}, NATIVE, 415, "unsupported_encoding"),
        ({}, b"\x1f\x8bnonsense", 422, "damaged_file"),
        ({"content-type": "multipart/form-data"}, b"--x", 400, "malformed_form"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"nonsense", 400, "malformed_form"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 422, "missing"),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + NATIVE,
            400,
            "malformed_form",
        ),
        (
            {"content-type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="source"\r\n\r\n' + b"s" * 70_000,
            413,
            "form_too_large",
        ),
    ],
)
async def test_what_is_refused_is_told_why(
    site: Running, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    answer = await site.http.post(UPLOAD, content=content, headers=owner(site) | headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not list((site.appliance.settings.data_dir / "imports").glob("*.part"))


async def test_the_formats_are_listed_and_may_be_named(site: Running) -> None:
    unknown = await site.http.post(f"{UPLOAD}?format=w3c", content=NATIVE, headers=owner(site))
    assert (unknown.status_code, unknown.json()["field"]) == (422, "format")
    assert "goatcounter" in unknown.json()["detail"]
    named = await site.http.post(f"{UPLOAD}?format=combined", content=combined(1).encode(), headers=owner(site))
    assert named.json()["format"] == "combined"


async def test_a_full_disk_is_507(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "FREE_BYTES_MIN", 1 << 60)
    answer = await site.http.post(UPLOAD, content=NATIVE, headers=owner(site))
    assert (answer.status_code, answer.json()["code"]) == (507, "insufficient_storage")
    assert int(answer.headers["retry-after"]) > 0


async def test_stopped_and_forgotten(site: Running) -> None:
    db = site.appliance.database
    head = {"head": b"x", "bytes_total": 9, "actor": "t", "source": "", "honoured": True, "at": clock.now()}
    waiting = await imports.create(
        db, site.project.id, imports.mint_id(), name="a.log", file_format="combined", state="waiting", **head
    )
    one = f"{IMPORTS}/{waiting.id}"
    assert (await site.http.delete(one, headers=owner(site))).json()["state"] == "stopped"
    assert (await site.http.delete(one, headers=owner(site))).json() == {"deleted": True}
    assert (await site.http.delete(one, headers=owner(site))).status_code == 404
    sent = (await site.http.post(UPLOAD, content=NATIVE, headers=owner(site))).json()
    await ended(site, sent["id"])
    kept = await site.http.delete(f"{IMPORTS}/{sent['id']}", headers=owner(site))
    assert (kept.status_code, kept.json()["code"]) == (409, "import_kept")
    actions = [row[0] for row in await db.read("SELECT action FROM audit WHERE action LIKE 'import.%' ORDER BY id")]
    assert {"import.create", "import.stop", "import.forget"} <= set(actions)


async def test_too_many_that_wait_are_refused(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.ingest.imports.host.WAITING_MAX", 0)
    answer = await site.http.post(UPLOAD, content=NATIVE, headers=owner(site))
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")


async def test_what_arrives_is_counted_too_and_strangers_get_less(site: Running) -> None:
    arriving = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield NATIVE[:10]
        await arriving.wait()
        yield NATIVE[10:]

    host = site.appliance.imports
    key = {"x-api-key": site.key}
    sent = [asyncio.create_task(site.http.post(UPLOAD, content=slow(), headers=key)) for _ in range(STRANGERS_MAX)]
    async with asyncio.timeout(10):
        while host._arriving[site.project.id] < STRANGERS_MAX:
            await asyncio.sleep(0.01)
    refused = await site.http.post(UPLOAD, content=NATIVE, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_uploads")
    assert (await site.http.post(UPLOAD, content=NATIVE, headers=owner(site))).status_code == 202
    arriving.set()
    await asyncio.gather(*sent)
    assert not +host._arriving


async def test_without_a_process_for_it_an_upload_waits_and_is_imported_later(
    site: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.ingest.imports.host.RETRY_SECONDS", 0.01)
    start, failed = asyncio.create_subprocess_exec, []

    async def start_later(*command: Any, **options: Any) -> Any:
        if len(failed) < 2:
            failed.append(command)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return await start(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_later)
    sent = (await site.http.post(UPLOAD, content=NATIVE, headers=owner(site))).json()
    assert (await ended(site, sent["id"]))["state"] == "done"
    assert len(failed) == 2
