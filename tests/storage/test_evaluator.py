"""The query worker as the serving process meets it: what it answers, and how it starts, fails and ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appliance.errors import Invalid, QueryTimeout, StorageUnavailable
from appliance.storage.evaluation import Answer, CodeSet, Plan, Step
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.worker import client as client_module
from appliance.storage.worker.client import memory_share
from tests.oracle import Event, Visit
from tests.queries.worlds import Store, instant

MONDAY = instant("2026-03-02 12:00")
EVENTS = Step(("SELECT count(*), count(DISTINCT e.visitor) FROM event e",))
ENDLESS = Plan(1, (), (), (), (Step(("SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a <> b",)),))


def plan(*steps: Step, project: int = 1, dictionaries: tuple[int, ...] = ()) -> Plan:
    return Plan(project, ("visitor", "time", "path"), ("start", "country"), dictionaries, steps or (EVENTS,))


def visit(visitor: int = 7, at: int = MONDAY, path: str = "/", **values: str) -> Visit:
    named = {name.replace("_", ":", 1): value for name, value in values.items()}
    return Visit(visitor, [Event(at, values={"event:page": path})], named)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "appliance.db")
    made.add([(1, visit()), (1, visit(8)), (2, visit(9))])
    return made


@pytest.fixture
async def evaluator(store: Store) -> AsyncIterator[Evaluator]:
    made = make(store)
    yield made
    await made.close()


def make(store: Store, **settings: float) -> Evaluator:
    return Evaluator(store.path, temp_directory=store.path.parent / "tmp", **settings)  # type: ignore[arg-type]


def pid_of(evaluator: Evaluator) -> int:
    assert evaluator.worker_pid is not None
    return evaluator.worker_pid


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


async def until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- answers


async def test_a_plan_is_answered_step_by_step_and_report_by_report(evaluator: Evaluator) -> None:
    second = Step(("SELECT r.n FROM twice r", "SELECT r.n + $n FROM twice r"), (("twice", "SELECT 2 AS n"),), {"n": 5})
    assert await evaluator.ask(plan(EVENTS, second)) == [[[(2, 2)]], [[(2,)], [(7,)]]]


async def test_projects_see_their_own_rows(evaluator: Evaluator) -> None:
    assert await evaluator.ask(plan(project=2)) == [[[(1, 1)]]]
    assert await evaluator.ask(plan(project=3)) == [[[(0, 0)]]]


async def test_the_extremes_of_a_visitor_id_survive(store: Store, evaluator: Evaluator) -> None:
    store.add([(4, visit(-(2**63))), (4, visit(2**63 - 1)), (4, visit(-1))])
    found = await evaluator.ask(plan(Step(("SELECT e.visitor FROM event e ORDER BY e.visitor",)), project=4))
    assert found == [[[(-(2**63),), (-1,), (2**63 - 1,)]]]


async def test_labels_come_from_dictionaries_that_follow_what_is_added(store: Store, evaluator: Evaluator) -> None:
    labels = Step(("SELECT d.text FROM event e JOIN dictionary_4 d ON d.code = e.path ORDER BY d.text",))
    assert await evaluator.ask(plan(labels, dictionaries=(4,))) == [[[("/",), ("/",)]]]
    store.add([(1, visit(path="/ä"))])
    assert await evaluator.ask(plan(labels, dictionaries=(4,))) == [[[("/",), ("/",), ("/ä",)]]]


@pytest.mark.parametrize(
    ("code_set", "paths"),
    [
        (CodeSet(4, "is", ("/", "/nowhere")), ["/"]),
        (CodeSet(4, "is", ("/BLOG",), False), ["/Blog"]),
        (CodeSet(4, "contains", ("lo", "x")), ["/Blog", "/x"]),
        (CodeSet(4, "contains", ("b",), False), ["/Blog"]),
        (CodeSet(4, "matches", ("^/.$",)), ["/x"]),
        (CodeSet(4, "is", ("missing",), True, ((0, "missing"),)), [None]),
        (CodeSet(4, "contains", ("miss",), True, ((0, "missing"),)), [None]),
        (CodeSet(4, "is", ()), []),
    ],
)
async def test_code_sets_choose_by_text(
    store: Store, evaluator: Evaluator, code_set: CodeSet, paths: list[str | None]
) -> None:
    store.add([(1, visit(path=path)) for path in ("/Blog", "/x", "")])
    chosen = (
        "SELECT DISTINCT d.text FROM event e LEFT JOIN dictionary_4 d ON d.code = e.path"
        " WHERE e.path IN (SELECT unnest(CAST($set AS INTEGER[]))) ORDER BY d.text"
    )
    step = Step((chosen,), code_sets={"set": code_set})
    assert await evaluator.ask(plan(step, dictionaries=(4,))) == [[[(path,) for path in paths]]]


async def test_a_code_set_asked_again_knows_texts_that_are_new(store: Store, evaluator: Evaluator) -> None:
    count = "SELECT count(*) FROM event e WHERE e.path IN (SELECT unnest(CAST($set AS INTEGER[])))"
    step = Step((count,), code_sets={"set": CodeSet(4, "contains", ("new",))})
    assert await evaluator.ask(plan(step)) == [[[(0,)]]]
    store.add([(1, visit(path="/new/1")), (1, visit(path="/new/2"))])
    assert await evaluator.ask(plan(step)) == [[[(2,)]]]


async def test_a_bad_pattern_is_the_askers_fault(evaluator: Evaluator) -> None:
    step = Step(("SELECT 1",), code_sets={"set": CodeSet(4, "matches", ("(",))})
    with pytest.raises(Invalid, match="regular expression"):
        await evaluator.ask(plan(step))


async def test_first_event_is_the_earliest_also_when_it_came_late(store: Store, evaluator: Evaluator) -> None:
    assert await evaluator.first_event(1) == MONDAY
    assert await evaluator.first_event(3) is None
    store.add([(1, visit(at=MONDAY - 1))])
    assert await evaluator.first_event(1) == MONDAY - 1


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE x",
        "SELECT 1; SELECT 2",
        "COPY (SELECT 1) TO 'out.csv'",
        "SET threads = 1",
        "ATTACH 'other.db'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM 'appliance.db'",
    ],
)
async def test_only_a_select_over_the_two_tables_runs(evaluator: Evaluator, statement: str) -> None:
    with pytest.raises(StorageUnavailable):
        await evaluator.ask(plan(Step((statement,))))
    assert await evaluator.ask(plan()) == [[[(2, 2)]]]


# ---------------------------------------------------------------------- life


async def test_the_worker_starts_with_the_first_question_and_ends_when_idle(store: Store) -> None:
    evaluator = make(store, idle_seconds=0.2)
    assert evaluator.worker_pid is None
    await evaluator.ask(plan())
    first = pid_of(evaluator)
    await until(lambda: evaluator.worker_pid is None and not is_running(first))
    assert await evaluator.ask(plan()) == [[[(2, 2)]]]
    assert pid_of(evaluator) != first
    await evaluator.close()


async def test_a_worker_that_was_killed_is_started_again(evaluator: Evaluator) -> None:
    await evaluator.ask(plan())
    os.kill(pid_of(evaluator), signal.SIGKILL)
    assert await evaluator.ask(plan()) == [[[(2, 2)]]]


async def test_what_a_dying_worker_was_asked_is_asked_once_more(store: Store) -> None:
    evaluator = make(store)
    await evaluator.warm()
    os.kill(pid_of(evaluator), signal.SIGSTOP)
    asked = [asyncio.create_task(evaluator.ask(plan())) for _ in range(3)]
    await asyncio.sleep(0.05)
    os.kill(pid_of(evaluator), signal.SIGKILL)
    assert await asyncio.gather(*asked) == [[[[(2, 2)]]]] * 3
    await evaluator.close()


async def test_a_question_that_kills_its_worker_twice_fails_alone(store: Store) -> None:
    evaluator = make(store)
    deadly = asyncio.create_task(evaluator.ask(ENDLESS))
    await until(lambda: evaluator.worker_pid is not None)
    harmless = asyncio.create_task(evaluator.ask(plan()))
    for _ in range(2):
        await until(lambda: evaluator.worker_pid is not None)
        pid = pid_of(evaluator)
        os.kill(pid, signal.SIGKILL)
        await until(lambda pid=pid: evaluator.worker_pid != pid)  # type: ignore[misc]
    with pytest.raises(StorageUnavailable, match="twice"):
        await deadly
    assert await harmless == [[[(2, 2)]]]
    await evaluator.close()


async def test_a_question_that_takes_too_long_is_stopped_and_the_worker_goes_on(store: Store) -> None:
    evaluator = make(store, timeout_seconds=1.5)
    await evaluator.ask(plan())
    worker = pid_of(evaluator)
    with pytest.raises(QueryTimeout):
        await evaluator.ask(ENDLESS)
    assert await evaluator.ask(plan()) == [[[(2, 2)]]]
    assert pid_of(evaluator) == worker
    await evaluator.close()


async def test_an_asker_that_leaves_stops_its_question_and_those_that_wait_are_answered(evaluator: Evaluator) -> None:
    await evaluator.ask(plan())
    worker = pid_of(evaluator)
    running, queued = (asyncio.create_task(evaluator.ask(ENDLESS)) for _ in range(2))
    waiting = asyncio.create_task(evaluator.ask(plan()))
    await asyncio.sleep(0.2)
    queued.cancel()
    running.cancel()
    assert await waiting == [[[(2, 2)]]]
    assert pid_of(evaluator) == worker


async def test_an_asker_that_leaves_at_once_harms_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.storage.worker.client.GRACE_SECONDS", 0.1)
    evaluator = make(store)
    for seconds in (0, 0.01, 0.001, 0.0003, 0.0001):  # while the worker starts, and about when it answers
        leaving = asyncio.create_task(evaluator.ask(plan()))
        await asyncio.sleep(seconds)
        leaving.cancel()
        if seconds == 0:
            await evaluator.ask(plan())
            worker = pid_of(evaluator)
    await asyncio.sleep(0.3)
    assert await evaluator.ask(plan()) == [[[(2, 2)]]]
    assert pid_of(evaluator) == worker
    await evaluator.close()


async def test_a_worker_that_hangs_is_killed_and_replaced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.storage.worker.client.GRACE_SECONDS", 0.2)
    evaluator = make(store, timeout_seconds=1)
    await evaluator.ask(plan())
    hanging = pid_of(evaluator)
    os.kill(hanging, signal.SIGSTOP)
    with pytest.raises(QueryTimeout):
        await evaluator.ask(plan())
    await until(lambda: not is_running(hanging))
    assert await evaluator.ask(plan()) == [[[(2, 2)]]]
    await evaluator.close()


async def test_without_a_database_the_storage_is_unavailable(tmp_path: Path) -> None:
    evaluator = Evaluator(tmp_path / "none.db", temp_directory=tmp_path / "tmp")
    with pytest.raises(StorageUnavailable):
        await evaluator.ask(plan())
    await evaluator.close()


async def test_closing_fails_who_waits_and_refuses_who_comes(store: Store) -> None:
    evaluator = make(store)
    waiting = asyncio.create_task(evaluator.ask(ENDLESS))
    await until(lambda: evaluator.worker_pid is not None)
    worker = pid_of(evaluator)
    await evaluator.close()
    assert not is_running(worker)
    for asked in (waiting, evaluator.ask(plan())):
        with pytest.raises(StorageUnavailable, match="stopping"):
            await asked


async def test_the_worker_holds_nothing_of_its_parent(evaluator: Evaluator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        await evaluator.ask(plan())
        held = [str(link.readlink()) for link in Path(f"/proc/{pid_of(evaluator)}/fd").iterdir()]
        assert f"socket:[{os.fstat(listening.fileno()).st_ino}]" not in held


_PARENT = """
import asyncio, os, sys
from pathlib import Path
from appliance.storage.evaluation import Plan, Step
from appliance.storage.sqlite.evaluator import Evaluator

async def main():
    evaluator = Evaluator(Path(sys.argv[1]), temp_directory=Path(sys.argv[2]))
    await evaluator.ask(Plan(1, ("time",), (), (), (Step(("SELECT count(*) FROM event e",)),)))
    heavy = [name for name in ("duckdb", "numpy") if name in sys.modules]
    print(evaluator.worker_pid, *heavy, flush=True)
    await evaluator.ask(Plan(1, (), (), (), (Step(("SELECT count(*) FROM range(10000000) a, range(10000000) b",)),)))

asyncio.run(main())
"""


async def test_the_worker_dies_with_its_parent_which_never_loads_what_is_heavy(store: Store) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_PARENT), str(store.path), str(store.path.parent / "tmp")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    worker, *heavy = parent.stdout.readline().split()
    assert heavy == []
    assert is_running(int(worker))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await until(lambda: not is_running(int(worker)))


async def test_many_questions_at_once_are_all_answered(evaluator: Evaluator) -> None:
    answers: list[Answer] = await asyncio.gather(*(evaluator.ask(plan(project=1 + n % 2)) for n in range(50)))
    assert answers == [[[[(2, 2)]]], [[[(1, 1)]]]] * 25


async def test_folders_of_workers_that_are_gone_are_removed(store: Store) -> None:
    left = store.path.parent / "tmp" / "query-999999999"
    left.mkdir(parents=True)
    evaluator = make(store)
    await evaluator.ask(plan())
    assert not left.exists()
    await evaluator.close()


@pytest.mark.parametrize(("limit", "expected"), [("max", None), (f"{2 << 30}", 512 << 20), ("1000", 256 << 20)])
def test_a_worker_takes_a_quarter_of_what_its_container_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int | None
) -> None:
    (tmp_path / "memory.max").write_text(limit + "\n")
    monkeypatch.setattr(client_module, "_LIMIT", tmp_path / "memory.max")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    usual = min(max(machine // 4, 256 << 20), 8192 << 20)
    assert memory_share() == (usual if expected is None else min(usual, expected))
