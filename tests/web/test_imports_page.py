"""The page of a site's imports, over a whole appliance."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from appliance import clock, credentials
from appliance.ingest.imports.formats import FORMATS
from appliance.model import Project, Role
from appliance.storage import accounts, imports, login_sessions, projects
from appliance.web import flash
from appliance.web.strings import TEXTS
from tests.ingest.imports.importing import combined
from tests.running import Running


class Browser(AsyncClient):
    """Somebody who is signed in."""

    def __init__(self, running: Running, role: Role) -> None:
        super().__init__(
            transport=ASGITransport(running.appliance.endpoint, client=("203.0.113.7", 4711)),
            base_url="http://appliance.test",
            headers={"accept": "text/html", "sec-fetch-site": "same-origin"},
        )
        self.database, self.role = running.appliance.database, role

    async def sign_in(self) -> "Browser":
        account = await accounts.create(
            self.database, email=f"{credentials.mint_token()}@example.com", password="correct horse battery", name="",
            role=self.role, actor="test", at=clock.now(),
        )  # fmt: skip
        token = credentials.mint_token()
        await login_sessions.create(self.database, account.id, credentials.digest(token), "", at=clock.now())
        self.cookies.set("session", token, domain="appliance.test")
        return self


@pytest.fixture
async def site(running: Running) -> Project:
    return (await projects.create(running.appliance.database, name="Imports", actor="test", at=clock.now())).project


@pytest.fixture
async def admin(running: Running) -> AsyncIterator[Browser]:
    async with Browser(running, "admin") as browser:
        yield await browser.sign_in()


def path(site: Project) -> str:
    return f"/sites/{site.public_id}/settings/imports"


async def send(browser: Browser, site: Project, name: str, content: bytes, **fields: str) -> Response:
    return await browser.post(path(site), data=fields, files={"file": (name, content)})


async def ended(browser: Browser, site: Project) -> str:
    """The list, once nothing goes on."""
    async with asyncio.timeout(30):
        while True:
            answer = await browser.get(path(site), headers={"hx-request": "true"})
            if "hx-trigger" not in answer.text:
                return answer.text
            await asyncio.sleep(0.05)


async def test_a_file_is_uploaded_read_and_listed(site: Project, admin: Browser) -> None:
    assert "Nothing imported yet" in (await admin.get(path(site))).text
    log = (combined(1, "/a") + combined(1, "/a.css") + "rubbish\n").encode()
    answer = await send(admin, site, "access.log", log, format="", source="web")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(path(site) + "#")
    page = (await admin.get(path(site))).text
    assert flash.TEXTS["import_waits"] in page
    assert "access.log" in page
    listed = await ended(admin, site)
    assert "<html" not in listed
    for words in (
        "Done",
        "1 event<",
        "File that is no page",
        "1 line refused",
        "no line of an access log",
        "2026-03-02",
    ):
        assert words in listed
    again = await send(admin, site, "again.log", log)
    assert again.status_code == 303
    assert flash.TEXTS["import_known"] in (await admin.get(path(site))).text


async def test_what_is_wrong_stands_beside_its_field(site: Project, admin: Browser) -> None:
    for name, content, fields, words in (
        ("x.txt", b"some words\n", {}, "in no format that is understood"),
        ("x.txt", b"", {}, "The file is empty"),
        ("", b"", {}, "Choose a file"),
        ("x.log", combined(1).encode(), {"format": "w3c"}, "There is no format"),
    ):
        answer = await send(admin, site, name, content, **fields)
        assert answer.status_code == 422
        assert words in answer.text
    assert "Nothing imported yet" in answer.text


async def test_stopped_and_removed(site: Project, admin: Browser, running: Running) -> None:
    made = await imports.create(
        running.appliance.database, site.id, imports.mint_id(), name="a.log", file_format="combined", source="",
        honoured=True, head=b"x", bytes_total=9, state="running", actor="t", at=clock.now() - 3 * clock.HOUR,
    )  # fmt: skip
    page = (await admin.get(path(site))).text
    assert "Interrupted" in page
    for word in ("stop", "forget"):
        (action,) = re.findall(rf'action="([^"]+/{word})"', page)
        assert action == f"{path(site)}/{made.id}/{word}"
        assert (await admin.post(action)).status_code == 303
        page = (await admin.get(path(site))).text
    assert "a.log" not in page
    assert (await admin.post(f"{path(site)}/{made.id}/stop")).status_code == 404


async def test_viewers_and_other_sites_do_not_see_it(site: Project, running: Running) -> None:
    async with Browser(running, "viewer") as viewer:
        await viewer.sign_in()
        assert (await viewer.get(path(site))).status_code == 403
        assert (await send(viewer, site, "a.log", combined(1).encode())).status_code == 403
    async with Browser(running, "viewer") as nobody:
        assert (await nobody.get(path(site))).status_code == 303


def test_every_format_has_words() -> None:
    assert {f"import.format.{known.name}" for known in FORMATS} <= TEXTS.keys()
