"""Every stored event of a project over a WebSocket and as server-sent events, from a real server over real sockets."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from appliance import clock, credentials
from appliance.model import Account, Role
from appliance.storage import accounts, keys, login_sessions, projects
from appliance.storage.sqlite.database import SqliteDatabase
from tests.memberships import set_memberships
from tests.postgresql import Server as Postgres
from tests.process import Server
from tests.streams import BOTH, Reader, Refused, SentEvents, Socket

T = TypeVar("T")
Kind = type[Socket] | type[SentEvents]
PASSWORD = "correct horse battery"
TICKETS = "/api/v1/auth/ws-ticket"
DASHBOARD = "https://dashboard.example.com"

both = pytest.mark.parametrize("kind", BOTH)


class Site(NamedTuple):
    """A project on a server, and its keys."""

    server: Server
    id: str
    key: str
    private: str

    def send(self, *events: dict[str, Any]) -> None:
        status, answer = self.server.ingest(self.key, {"events": list(events)})
        assert (status, answer["accepted"] + answer["duplicates"]) == (202, len(events)), answer

    def open(self, kind: Kind, ticket: str = "", **headers: str) -> Reader:
        """With the private key, unless there is another way in."""
        if not ticket and not headers:
            headers = {"authorization": f"Bearer {self.private}"}
        return kind(self.server, self.id, ticket, **headers)

    def refused(self, kind: Kind, ticket: str = "", **headers: str) -> tuple[int, str]:
        with pytest.raises(Refused) as caught:
            kind(self.server, self.id, ticket, **headers).close()
        return caught.value.status, caught.value.code


def done(server: Server, work: Callable[[SqliteDatabase], Awaitable[T]]) -> T:
    """What somebody does meanwhile who works with the same database."""

    async def run() -> T:
        database = SqliteDatabase(server.folder / "appliance.db")
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def joined(server: Server) -> Site:
    made = done(
        server,
        lambda database: projects.create(
            database, name="Site", domains=[], private_key=True, actor="test", at=clock.now()
        ),
    )
    assert made.public_key.token is not None and made.private_key is not None
    return Site(server, made.project.public_id, made.public_key.token, made.private_key)


def account(server: Server, role: Role = "owner") -> Account:
    email = f"{credentials.mint_token()[:8]}@example.com"
    return done(
        server,
        lambda database: accounts.create(
            database, email=email, password=PASSWORD, role=role, actor="test", at=clock.now()
        ),
    )


def logged_in(server: Server, who: Account) -> str:
    """A token, for a cookie or as a bearer."""
    token = credentials.mint_token()
    made = login_sessions.create
    done(server, lambda database: made(database, who.id, credentials.digest(token), "", at=clock.now()))
    return token


def ticket_of(server: Server, token: str) -> str:
    status, answer = server.post(TICKETS, {}, authorization=f"Bearer {token}")
    assert status == 200, answer
    ticket: str = answer["ticket"]
    return ticket


def click(event_id: str, **fields: Any) -> dict[str, Any]:
    return {"event": "click", "event_id": event_id, "url": "https://example.com/a", **fields}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("streams") / "data", trusted_proxies="127.0.0.1", read_origins=DASHBOARD
    ) as started:
        yield started
        said = started.log.read_text()
        assert "Traceback" not in said
        assert "ASGI" not in said


@pytest.fixture(scope="module")
def owner(server: Server) -> Account:
    return account(server)


@pytest.fixture
def site(server: Server) -> Site:
    return joined(server)


# ---------------------------------------------------------------- what comes


def test_every_event_of_a_burst_comes_once_to_everybody_and_only_of_this_project(server: Server, site: Site) -> None:
    readers = [site.open(kind) for kind in (*BOTH, *BOTH)]
    other = joined(server)
    other.send(click("another's"))
    sent = [f"e{number}" for number in range(1000)]
    site.send(*map(click, sent))
    site.send(click("e7"), click("last"))  # e7 is known by now
    for reader in readers:
        came = [reader.next()["event_id"] for _ in range(1001)]
        assert came == [*sent, "last"]
        reader.close()


@both
def test_an_event_is_told_as_it_was_sent(site: Site, kind: Kind) -> None:
    reader = site.open(kind)
    site.send(
        {
            "event": "page_view",
            "event_id": "one",
            "distinct_id": "user_42",
            "session_id": "sess_xyz",
            "page_url": "https://example.com/pricing?utm_source=x#top",
            "referrer": "https://google.com/",
            "properties": {"path": "/pricing", "text": 'ä\n\r\u2028"', "deep": {"list": [1, 2.5, None]}},
            "timestamp": "2026-02-10T12:00:00Z",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
        },
        {"event": "Job done", "event_id": "two", "timestamp": "2026-02-10T12:00:00.25Z"},
    )
    assert reader.next() == {
        "event_id": "one",
        "event_name": "page_view",
        "distinct_id": "user_42",
        "session_id": "sess_xyz",
        "properties": {"path": "/pricing", "text": 'ä\n\r\u2028"', "deep": {"list": [1, 2.5, None]}},
        "page_url": "https://example.com/pricing",
        "referrer": "https://google.com",
        "timestamp": "2026-02-10T12:00:00Z",
        "country": None,
        "browser": "Firefox",
        "os": "Linux",
        "device": "Desktop",
    }
    second = reader.next()
    assert second.pop("session_id").isdigit()
    assert second.pop("timestamp") == "2026-02-10T12:00:00.250000Z"
    assert (second.pop("event_id"), second.pop("event_name"), second.pop("properties")) == ("two", "Job done", {})
    assert set(second.values()) == {None}
    reader.close()


def test_a_reader_that_was_too_slow_is_told_what_it_missed(site: Site) -> None:
    readers = [site.open(kind) for kind in BOTH]
    site.send(click("first"))
    assert [reader.next()["event_id"] for reader in readers] == ["first", "first"]
    large = {"text": "x" * 60_000}
    sent = [f"e{number}" for number in range(600)]
    for start in range(0, 600, 60):  # 36 MB, of which sockets hold a part
        site.send(*(click(event_id, properties=large) for event_id in sent[start : start + 60]))
    deadline = time.monotonic() + 20
    while json.loads(site.server.get("/health")[1])["journal_backlog_bytes"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    site.send(click("last"))
    for reader in readers:
        came: list[str] = []
        lost = 0
        while not came or came[-1] != "last":
            told = reader.next()
            if "lost" in told:
                lost += told["lost"]
                assert not isinstance(reader, SentEvents) or reader.name == "lost"
            else:
                came.append(told["event_id"])
        assert lost > 0
        assert lost + len(came) == 601
        assert [event_id for event_id in sent if event_id in set(came)] == came[:-1], "in order, none twice"
        reader.close()


def test_of_an_import_what_happened_lately_is_told(site: Site) -> None:
    reader = site.open(Socket)
    lately = datetime.now(UTC) - timedelta(minutes=5)
    lines = [
        {**click(event_id), "timestamp": at.isoformat()}
        for event_id, at in [("old", lately - timedelta(days=1)), ("new", lately), ("newer", lately)]
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    status, answer = site.server.post("/api/v1/upload?format=ndjson", body, authorization=f"Bearer {site.private}")
    assert status == 202, answer
    assert [reader.next()["event_id"] for _ in range(2)] == ["new", "newer"]
    reader.close()


def test_streams_go_on_when_the_drain_died(site: Site) -> None:
    reader = site.open(Socket)
    site.send(click("before"))
    assert reader.next()["event_id"] == "before"
    assert site.server.process is not None
    listed = subprocess.run(["pgrep", "-P", str(site.server.process.pid), "-f", "drain_worker"], capture_output=True)
    os.kill(int(listed.stdout), signal.SIGKILL)
    site.send(*(click(f"after {number}") for number in range(60)))
    assert [reader.next()["event_id"] for _ in range(60)] == [f"after {number}" for number in range(60)]
    reader.close()


# ---------------------------------------------------------------- who may


@both
def test_a_ticket_opens_one_stream(server: Server, site: Site, owner: Account, kind: Kind) -> None:
    ticket = ticket_of(server, logged_in(server, owner))
    assert credentials.key_kind(ticket) is None
    reader = site.open(kind, ticket)
    assert site.refused(kind, ticket) == (401, "unknown_ticket")
    site.send(click("one"))
    assert reader.next()["event_id"] == "one"
    reader.close()
    reader = site.open(kind, ticket_of(server, logged_in(server, owner)), origin=DASHBOARD)
    if isinstance(reader, SentEvents):
        assert reader.answer.headers["access-control-allow-origin"] == DASHBOARD
    reader.close()


@both
def test_a_ticket_that_is_too_old_or_of_an_ended_session_opens_none(
    server: Server, site: Site, owner: Account, kind: Kind
) -> None:
    token = logged_in(server, owner)
    old, orphaned = ticket_of(server, token), ticket_of(server, token)
    expire = "UPDATE ticket SET expires_at = :at WHERE digest = :digest"
    values = {"at": clock.now(), "digest": credentials.digest(old)}
    done(server, lambda database: database.write(expire, values))
    assert site.refused(kind, old) == (401, "unknown_ticket")
    assert server.post("/api/v1/auth/logout", {}, authorization=f"Bearer {token}")[0] == 200
    assert site.refused(kind, orphaned) == (401, "unknown_ticket")
    assert server.post(TICKETS, {}, authorization=f"Bearer {token}")[1]["code"] == "unknown_token"
    assert server.post(TICKETS, {}, authorization=f"Bearer {site.private}")[1]["code"] == "unknown_token"


@both
def test_who_may_not(server: Server, site: Site, owner: Account, kind: Kind) -> None:
    foreign = joined(server)
    at = clock.now()
    unread = done(server, lambda d: keys.mint(d, site.id, "private", name="n", scopes=["manage"], actor="test", at=at))
    outside = account(server, "viewer")

    async def confine(database: SqliteDatabase) -> None:
        found = await projects.by_public_id(database, foreign.id)
        assert found is not None
        await set_memberships(database, outside, {found.id: "viewer"})

    done(server, confine)

    def bearer(token: str | None) -> tuple[int, str]:
        return site.refused(kind, authorization=f"Bearer {token}")

    assert site.refused(kind, cookie="session=made-up") == (401, "missing_token")
    assert bearer("at_made-up") == (401, "unknown_token")
    assert bearer(site.key) == (403, "public_key")
    assert bearer(unread.token) == (403, "scope")
    assert bearer(foreign.private) == (404, "not_found")
    assert bearer(logged_in(server, outside)) == (404, "not_found")
    assert site.refused(kind, ticket_of(server, logged_in(server, outside))) == (404, "not_found")
    assert site.refused(kind, site.private) == (401, "private_key_in_query")
    private = {"authorization": f"Bearer {site.private}"}
    assert site.refused(kind, **private, origin="https://example.com") == (401, "private_key_from_browser")
    nowhere = site._replace(id="76eb1ede-0000-4000-8000-000000000000")
    assert nowhere.refused(kind, authorization=f"Bearer {logged_in(server, owner)}") == (404, "not_found")


@both
def test_a_refusal_is_as_any_other(site: Site, kind: Kind) -> None:
    with pytest.raises(Refused) as caught:
        kind(site.server, site.id)
    headers = caught.value.headers
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["www-authenticate"].startswith("Bearer")
    assert len(headers["x-request-id"]) > 10


@both
def test_a_cookie_opens_streams_for_our_own_pages_alone(server: Server, site: Site, owner: Account, kind: Kind) -> None:
    token = logged_in(server, owner)
    plain, secure = f"session={token}", f"__Host-session={token}"
    for foreign in ("https://example.com", DASHBOARD, f"https://127.0.0.1:{server.port}", "null"):
        assert site.refused(kind, cookie=plain, origin=foreign) == (403, "origin_not_allowed")
    forwarded = {"cookie": secure, "x_forwarded_proto": "https"}
    assert site.refused(kind, **forwarded, origin=server.url) == (403, "origin_not_allowed")
    readers = [
        site.open(kind, cookie=plain, origin=server.url),
        site.open(kind, cookie=plain),
        site.open(kind, **forwarded, origin=f"https://127.0.0.1:{server.port}"),
    ]
    site.send(click("one"))
    for reader in readers:
        assert reader.next()["event_id"] == "one"
        reader.close()


def test_streams_end_within_five_seconds_when_who_reads_may_no_more(server: Server, owner: Account) -> None:
    site, doomed = joined(server), joined(server)
    at = clock.now()
    viewer = account(server, "viewer")
    logout, everywhere, stays, gone = (logged_in(server, owner) for _ in range(4))
    in_cookie = {"cookie": f"session={everywhere}"}

    async def confine(database: SqliteDatabase) -> None:
        for public_id in (doomed.id, site.id):  # the last is the one
            found = await projects.by_public_id(database, public_id)
            assert found is not None
            await set_memberships(database, viewer, {found.id: "viewer"})

    done(server, confine)
    ending: list[Reader] = []
    for kind in BOTH:
        ending += [
            site.open(kind, authorization=f"Bearer {logout}"),
            site.open(kind, ticket_of(server, logout)),
            site.open(kind, **in_cookie),
            site.open(kind),
            site.open(kind, authorization=f"Bearer {logged_in(server, viewer)}"),
            doomed.open(kind, authorization=f"Bearer {gone}"),
            doomed.open(kind),
        ]
    staying = [site.open(kind, authorization=f"Bearer {stays}") for kind in BOTH]

    async def end(database: SqliteDatabase) -> None:
        await login_sessions.end(database, owner.id, credentials.digest(everywhere))
        mine, theirs = [await projects.by_public_id(database, public_id) for public_id in (site.id, doomed.id)]
        assert mine is not None and theirs is not None
        (private,) = [key for key in await keys.list_of(database, mine.id) if key.kind == "private"]
        await keys.revoke(database, mine.id, private.id, actor="test", at=at)
        await set_memberships(database, viewer, {theirs.id: "viewer"})
        await projects.delete(database, theirs, actor="test", at=at)

    assert server.post("/api/v1/auth/logout", {}, authorization=f"Bearer {logout}")[0] == 200
    done(server, end)
    started = time.monotonic()
    codes = [reader.end(max(0.01, 5 - (time.monotonic() - started))) for reader in ending]
    assert codes == [1008] * 7 + [0] * 7
    site.send(click("one"))
    for reader in staying:
        assert reader.next()["event_id"] == "one"
        reader.close()


def test_asked_to_end_the_server_takes_leave_of_its_streams(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        site = joined(server)
        readers = [site.open(kind) for kind in (*BOTH, *BOTH)]
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 4
        assert [reader.end() for reader in readers] == [1001, 0, 1001, 0]


# ---------------------------------------------------------------- two appliances


@pytest.mark.servers
def test_what_one_appliance_stores_is_streamed_by_another_on_the_same_database(
    tmp_path: Path, postgresql: Postgres
) -> None:
    url = postgresql.new_database()
    first, second = (Server(tmp_path / name, database_url=url) for name in ("first", "second"))
    with first, second:
        made = first.project()
        first.cli("user", "create", "ada@example.com", "--password", PASSWORD)
        status, tokens = second.post("/api/v1/auth/login", {"email": "ada@example.com", "password": PASSWORD})
        assert status == 200
        here, there = (Site(one, made["id"], made["public_key"], made["private_key"]) for one in (first, second))
        ticket = ticket_of(second, tokens["access_token"])
        readers = [here.open(kind) for kind in BOTH]
        readers.append(here.open(Socket, ticket))
        assert there.refused(Socket, ticket) == (401, "unknown_ticket")
        for number, site in enumerate((there, here, there)):
            sent = [f"{number}-{n}" for n in range(300)]
            site.send(*(click(event_id, properties={"text": "x" * 100}) for event_id in sent))
            for reader in readers:
                assert [reader.next()["event_id"] for _ in sent] == sent
        assert watched(url) == [[], [1]]
        second.post("/api/v1/auth/logout", {}, authorization=f"Bearer {tokens['access_token']}")
        assert readers[2].end(5) == 1008


def watched(url: str) -> list[list[int]]:
    """The projects that each appliance on a database watches."""
    with psycopg.connect(url) as connection:
        return sorted(json.loads(ids) for (ids,) in connection.execute("SELECT watched FROM appliance"))


# ---------------------------------------------------------------- the protocol


def connection_of(site: Site) -> ClientConnection:
    reader = site.open(Socket)
    assert isinstance(reader, Socket)
    return reader.connection


def test_what_clients_say_is_passed_over_and_may_not_be_large(site: Site) -> None:
    connection = connection_of(site)
    for message in ("hello", b"\x00" * 60_000, "{"):
        connection.send(message)
    assert connection.ping().wait(5), "pings are answered"
    site.send(click("one"))
    assert "one" in str(connection.recv(timeout=10))
    connection.send("x" * 70_000)
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=5)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


HANDSHAKE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


def said(server: Server, request: str) -> bytes:
    """What the server answers to these bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request.encode())
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
    return answer


@pytest.mark.parametrize(
    ("method", "headers", "statuses"),
    [
        ("GET", HANDSHAKE, {400, 426}),
        ("GET", HANDSHAKE + KEY.replace("dGhl", "****"), {400}),
        ("GET", HANDSHAKE.replace("13", "8") + KEY, {400, 426}),
        ("GET", HANDSHAKE + KEY + f"X-Long: {'x' * 20_000}\r\n", {431}),
        ("GET", HANDSHAKE + KEY + "X-Many: 1\r\n" * 300, {431}),
        ("GET", HANDSHAKE + KEY + "X-Odd: \xe4\r\n", {401}),
        ("POST", HANDSHAKE + KEY + "Content-Length: 0\r\n", {400, 405}),
    ],
)
def test_a_handshake_that_is_none_is_refused(site: Site, method: str, headers: str, statuses: set[int]) -> None:
    before = site.server.log.read_text()
    answer = said(site.server, f"{method} /api/v1/ws/events/{site.id} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
    assert int(answer.split(b" ", 2)[1]) in statuses, answer
    assert "Traceback" not in site.server.log.read_text().removeprefix(before)


def test_a_websocket_is_none_on_other_paths(site: Site) -> None:
    for path in ("/", "/api/v1/events/ingest", "/api/v1/live/x", "/healthz"):
        answer = said(site.server, f"GET {path} HTTP/1.1\r\nHost: x\r\n{HANDSHAKE}{KEY}\r\n")
        assert answer.split(b" ", 2)[1] == b"403", answer


def test_a_websocket_does_not_begin_before_the_answer_that_is_under_way(site: Site) -> None:
    body = '{"event": "click"}'
    first = f"POST /api/v1/events/ingest HTTP/1.1\r\nHost: x\r\nX-API-Key: {site.key}\r\nContent-Length: {len(body)}"
    second = f"GET /api/v1/ws/events/{site.id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.private}"
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as connection:
        connection.sendall(f"{first}\r\n\r\n{body}{second}\r\n{HANDSHAKE}{KEY}\r\n".encode())
        answer = b""
        while answer.count(b"HTTP/1.1 ") < 2:
            data = connection.recv(1 << 16)
            assert data, answer
            answer += data
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"202", b"404"]
