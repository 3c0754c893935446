"""Bodies that never end: they have to make room, and nothing else does."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.ingest.arriving import FREE_BYTES, Arriving, Body
from tests.process import Server

MIB = 1 << 20


def test_what_is_small_does_not_count() -> None:
    arriving = Arriving(bytes_max=0)
    ended: list[int] = []
    bodies = [Body(arriving, lambda: ended.append(1)) for _ in range(100)]
    for body in bodies:
        body.grow(FREE_BYTES - 1)
        body.grow(1)
    assert (ended, arriving.nbytes) == ([], 0)
    bodies[3].grow(1)
    assert (ended, arriving.nbytes) == ([1], 0)


def test_the_oldest_goes_first() -> None:
    arriving = Arriving(bytes_max=1000)
    ended: list[str] = []
    bodies = {name: Body(arriving, lambda name=name: ended.append(name)) for name in "abc"}  # type: ignore[misc]
    for name in "abc":
        bodies[name].grow(FREE_BYTES + 400 - (name == "c"))
    assert (ended, arriving.nbytes) == (["a"], 799)
    bodies["b"].end()
    bodies["b"].end()
    assert arriving.nbytes == 399
    bodies["c"].grow(602)
    assert (ended, arriving.nbytes) == (["a", "c"], 0)
    bodies["c"].end()
    assert arriving.nbytes == 0


def test_one_that_is_whole_makes_room() -> None:
    arriving = Arriving(bytes_max=1000)
    for _ in range(50):
        body = Body(arriving, lambda: pytest.fail("there was room"))
        body.grow(FREE_BYTES + 1000)
        body.end()
    assert arriving.nbytes == 0


def memory_mb(server: Server) -> float:
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("arriving"))
    with started:
        yield started


def begin(server: Server, *, chunked: bool) -> socket.socket:
    """A request of which 4 MiB come and the rest never does."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    length = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % (5 * MIB)
    connection.sendall(b"POST /api/v1/events/ingest HTTP/1.1\r\nhost: x\r\n" + length + b"\r\n\r\n")
    for _ in range(4):
        connection.sendall((b"%x\r\n" % MIB if chunked else b"") + b" " * MIB + (b"\r\n" if chunked else b""))
    return connection


def status_of(connection: socket.socket) -> bytes:
    return connection.recv(4096).partition(b"\r\n")[0]


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    public: str = server.project()["public_key"]
    return public


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_that_stop_do_not_fill_the_memory(server: Server, key: str, chunked: bool) -> None:
    before = memory_mb(server)
    connections = [begin(server, chunked=chunked) for _ in range(60)]
    try:
        # 64 of 240 MiB fit; whoever began first has to go.
        assert status_of(connections[0]).startswith(b"HTTP/1.1 408")
        assert status_of(connections[20]).startswith(b"HTTP/1.1 408")
        assert memory_mb(server) - before < 130
        assert server.ingest(key, {"event": "x"})[0] == 202
        connections[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            connections[-1].recv(1)  # it still has its time
    finally:
        for connection in connections:
            connection.close()


def test_large_bodies_go_through_while_others_hang(server: Server, key: str) -> None:
    hanging = [begin(server, chunked=False) for _ in range(20)]
    events = [{"event": "large", "properties": {"a": "y" * 40_000}}] * 100
    for _ in range(3):
        assert server.ingest(key, {"events": events})[0] == 202
    for connection in hanging:
        connection.close()
