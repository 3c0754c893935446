"""The short way of ingest requests, over a real socket: the same answers as on uvicorn's own way, and connections that
behave (keep-alive, pipelining, halves, goodbyes)."""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ingest.sent import Sent
from tests.process import Server

PATH = "/api/v1/events/ingest"
EVENT = json.dumps({"event": "pageview", "url": "https://example.com/a"}).encode()
FIELDS = ["events", "sent_at", *Sent.__struct_fields__]
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("protocol") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return str(server.cli("project", "create", "Site", "--domain", "example.com", "--json")["public_key"])


class Wire:
    """A connection, byte by byte."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        return status, headers, self._file.read(int(headers.get("content-length", 0)))

    def ended(self) -> bool:
        return self._file.read(1) == b""


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    opened = Wire(server)
    yield opened
    opened.socket.close()


def request(key: str, body: bytes = EVENT, path: str = PATH, **headers: str) -> bytes:
    lines = {"host": "example.com", "x-api-key": key, "content-length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def stored(server: Server) -> int:
    """Events in the database, once all that was accepted is there."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        metrics = server.get("/metrics")[1].decode()
        counts = dict(re.findall(r"^appliance_(events_\w+)_total (\S+)$", metrics, re.MULTILINE))
        if counts and float(counts["events_accepted"]) == float(counts["events_stored"]):
            return int(float(counts["events_stored"]))
        time.sleep(0.02)
    raise AssertionError("what was accepted was not stored")


def chunked(data: bytes) -> bytes:
    """The same request without a length, which takes uvicorn's own way."""
    head, _, body = data.partition(b"\r\n\r\n")
    head = re.sub(rb"content-length: \d+", b"transfer-encoding: chunked", head)
    chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return head + b"\r\n\r\n" + chunk + b"0\r\n\r\n"


CASES: dict[str, dict[str, Any]] = {
    "one event": {},
    "a batch": {"body": json.dumps({"events": [json.loads(EVENT)] * 3}).encode()},
    "from a page": {"origin": "https://example.com", "user_agent": "Mozilla/5.0 Firefox/145.0"},
    "compressed": {"body": gzip.compress(EVENT), "content_encoding": "gzip"},
    "no JSON": {"body": b"{"},
    "an event without a name": {"body": b"{}"},
    "an unknown key": {"key": "sa_nobody"},
    "another site": {"key": "", "body": EVENT.replace(b"example.com", b"elsewhere.example")},
    "no gzip": {"body": b"\x1f\x8b nothing", "content_encoding": "gzip"},
    "an unknown encoding": {"content_encoding": "br"},
    "no body": {"body": b""},
}


@pytest.mark.parametrize("name", CASES)
def test_both_ways_answer_the_same(server: Server, wire: Wire, key: str, name: str) -> None:
    options = {"key": key} | CASES[name]
    answers = []
    for data in (request(**options), chunked(request(**options))):
        wire.send(data)
        status, headers, body = wire.answer()
        for varying in ("date", "x-request-id"):
            assert headers.pop(varying)
        answers.append((status, headers, body))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "target",
    [
        "/pixel.gif?key={key}&url=https://example.com/a",
        "/pixel.gif?key=sa_nobody&url=https://example.com/a",
        "/pixel.gif",
        "/count?key={key}&p=/a",
        "/count/?key={key}&p=",
        "/api/v1/events/ingest",  # of no GET
    ],
)
def test_both_ways_answer_a_get_the_same(server: Server, wire: Wire, key: str, target: str) -> None:
    answers = []
    for framing in ("", "content-length: 0\r\n", "transfer-encoding: chunked\r\n"):  # the last two take uvicorn's way
        head = f"GET {target.format(key=key)} HTTP/1.1\r\nhost: example.com\r\n{framing}\r\n"
        wire.send(head.encode() + (b"0\r\n\r\n" if "chunked" in framing else b""))
        status, headers, body = wire.answer()
        for varying in ("date", "x-request-id"):
            assert headers.pop(varying)
        answers.append((status, headers, body))
    assert answers[0] == answers[1] == answers[2]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=6),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")))
def test_whatever_is_sent_both_ways_agree_and_the_connection_lives(server: Server, key: str, body: bytes) -> None:
    wire = Wire(server)
    statuses = []
    for data in (request(key, body), chunked(request(key, body))):
        wire.send(data)
        status, _, answer = wire.answer()
        assert json.loads(answer)
        statuses.append(status)
    wire.socket.close()
    assert statuses[0] == statuses[1] in (202, 400, 401, 413, 415, 422)


def test_a_body_may_come_in_pieces(server: Server, wire: Wire, key: str) -> None:
    before = stored(server)
    data = request(key)
    for at in range(0, len(data), 7):
        wire.send(data[at : at + 7])
        time.sleep(0.001)
    assert wire.answer()[0] == 202
    assert stored(server) == before + 1


def test_requests_sent_ahead_are_answered_in_order(server: Server, wire: Wire, key: str) -> None:
    before = stored(server)
    bad = request(key, b"{")
    health = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    wire.send(request(key) + bad + request(key) + health + chunked(request(key)) + request("sa_nobody") + request(key))
    assert [wire.answer()[0] for _ in range(7)] == [202, 400, 202, 200, 202, 401, 202]
    assert stored(server) == before + 4


def test_a_key_made_a_moment_ago_is_known(server: Server, wire: Wire) -> None:
    made = server.cli("project", "create", "New", "--domain", "new.example", "--json")
    wire.send(request(str(made["public_key"])))
    assert wire.answer()[0] == 202


def test_the_connection_closes_when_asked_to(wire: Wire, key: str) -> None:
    wire.send(request(key, connection="close"))
    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (202, "close")
    assert wire.ended()


def test_http_1_0_is_answered_and_closed(wire: Wire, key: str) -> None:
    wire.send(request(key).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert wire.answer()[0] == 202
    assert wire.ended()


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(wire: Wire, key: str) -> None:
    head, _, body = request(key, expect="100-continue").partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.answer()[0] == 100
    wire.send(body)
    assert wire.answer()[0] == 202


def test_a_body_that_says_it_is_too_large_is_refused(wire: Wire, key: str) -> None:
    wire.send(request(key, content_length=str(50 << 20)))
    assert wire.answer()[0] == 413


def test_who_leaves_in_the_middle_leaves_nothing_behind(server: Server, key: str) -> None:
    before = stored(server)
    for cut in (30, len(request(key)) - 5):
        left = Wire(server)
        left.send(request(key)[:cut])
        left.socket.close()
    gone = Wire(server)
    gone.send(request(key))  # and does not wait for the answer
    gone.socket.close()
    patient = Wire(server)
    patient.send(request(key))
    assert patient.answer()[0] == 202
    assert stored(server) in (before + 1, before + 2)
    patient.socket.close()


def test_answers_nobody_reads_do_not_pile_up(server: Server, key: str) -> None:
    """A client that sends for ever and never reads is stopped by its own full socket."""
    deaf = Wire(server)
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.socket.settimeout(1.0)
    data = request(key, b"{") * 50
    with pytest.raises(TimeoutError):
        deaf.socket.sendall(data * 4000)
    deaf.socket.close()


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = str(server.cli("project", "create", "S", "--domain", "example.com", "--json")["public_key"])
        slow, idle = Wire(server), Wire(server)
        data = request(token)
        slow.send(data[:-3])
        idle.send(data)
        assert idle.answer()[0] == 202
        time.sleep(0.2)
        assert server.process is not None
        server.process.terminate()
        assert idle.ended()
        slow.send(data[-3:])
        status, headers, _ = slow.answer()
        assert (status, headers["connection"]) == (202, "close")
        assert server.process.wait(20) == 0
        status_json = server.cli("status", "--json")
    assert status_json["projects"][0]["events"] == 2


def test_only_what_is_idle_is_closed(server: Server, key: str) -> None:
    data = request(key)
    idle, busy, slow, mixed = (Wire(server) for _ in range(4))
    for wire in (idle, busy, slow, mixed):
        wire.send(data)
        assert wire.answer()[0] == 202
    answered = time.monotonic()
    mixed.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    assert mixed.answer()[0] == 200
    slow.send(data[:-10])
    for _ in range(4):
        time.sleep(1.6)
        busy.send(data)
        assert busy.answer()[0] == 202
    assert idle.ended()
    assert mixed.ended()
    slow.send(data[-10:])
    assert slow.answer()[0] == 202
    busy.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    assert busy.answer()[0] == 200
    assert time.monotonic() - answered > 6  # longer than an idle one lives
    busy.send(data)
    assert busy.answer()[0] == 202


def test_who_sends_rubbish_waits_and_others_do_not(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(6 << 20))
    with Server(tmp_path / "data") as server:
        token = str(server.cli("project", "create", "S", "--domain", "example.com", "--json")["public_key"])
        rude, polite, foreign = Wire(server), Wire(server), Wire(server)
        for _ in range(500):
            began = time.monotonic()
            rude.send(request(token, bomb))
            assert rude.answer()[0] == 413
            if (waited := time.monotonic() - began) > 0.2:
                break
        assert waited > 0.2, "nobody waits"
        for _ in range(40):
            Wire(server).send(request(token, bomb))
        polite.send(request(token))
        assert polite.answer()[0] == 202
        # Some seconds stand between this address and its next answer to rubbish.
        rude.send(request(token, bomb))
        foreign.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        polite.send(request(token))
        assert polite.answer()[0] == 202
        for held in (rude, foreign):
            held.socket.settimeout(0.1)
            with pytest.raises(TimeoutError):
                held.socket.recv(1, socket.MSG_PEEK)
            held.socket.settimeout(10)
        # At the end nobody has to wait any more.
        assert server.process is not None
        server.process.terminate()
        assert rude.answer()[0] == 413
        assert server.process.wait(15) == 0


def test_what_is_no_http_fills_no_log(server: Server) -> None:
    for _ in range(300):
        foreign = Wire(server)
        foreign.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
        foreign.socket.close()
    assert server.log.read_text().count("Invalid HTTP request") <= 2
