"""Sealing, sealing again, erasing and purging, broken off at every statement and commit: run again, they end as if
nothing had happened, and no row is lost or doubled."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from appliance.model import Event
from appliance.storage.sqlite.chunks import seal as sealing
from appliance.storage.sqlite.removal import taking
from appliance.storage.sqlite.writer import connect
from tests.builders import ANN, BOB, pageview, user_event
from tests.crash.jobs import JOBS, run, run_until, state
from tests.storage.test_erase import ask
from tests.storage.test_seal import MONDAY, Place, traffic


def filled(folder: Path, batches: int = 12) -> Place:
    place = Place(folder)
    place.add_project("Europe/Berlin")
    place.jobs.transaction(lambda c: c.execute("UPDATE project SET public_id = 'first'"), durable=True)
    place.add_project("America/New_York")
    random = Random(batches)
    sent: list[Event] = []
    for _ in range(batches):
        sent += (events := traffic(random, sent))
        place.apply(*events, pageview(random.randrange(5000), project_id=2, visitor=random.choice([ANN, BOB])))
    for user in "xy":
        place.apply(user_event(random.randrange(5000), user, traits='{"a":1}'))
        place.store.transact(lambda tx, user=user: tx.add_dead_letter(0, user_event(0, user), "no"))  # type: ignore[misc]
    return place


def hot(folder: Path, batches: int) -> Place:
    return filled(folder, batches)


def sealed_and_late(folder: Path, batches: int) -> Place:
    """Sealed in small chunks; then late events made rows of some, and added new visits."""
    place = filled(folder, batches)
    run(place.path, "seal")
    place.restart()
    for day in range(2):
        place.apply(*(pageview(day * 1440 + minute, visitor=visitor) for minute, visitor in ((0, ANN), (3, 99))))
    return place


def in_parts(folder: Path, batches: int) -> Place:
    """Some days sealed, some not."""
    place = filled(folder, batches)
    for day in (MONDAY, MONDAY + 1):
        for project in (1, 2):
            place.seal(day, project)
    return place


def a_user(folder: Path, batches: int) -> Place:
    place = in_parts(folder, batches)
    ask(place, users=("x",))
    return place


def a_visitor(folder: Path, batches: int) -> Place:
    place = in_parts(folder, batches)
    ask(place, visitors=(ANN,))
    return place


Make = Callable[[Path, int], Place]
# Job, world, and how many batches of events make a small one.
WORLDS: list[tuple[str, Make, int]] = [
    ("seal", hot, 3),
    ("seal", sealed_and_late, 2),
    ("erase", a_user, 3),
    ("erase", a_visitor, 4),
    ("purge", in_parts, 30),
]
IDS = [f"{job}-{world.__name__}" for job, world, _ in WORLDS]
every_job = pytest.mark.parametrize(("job", "make", "batches"), WORLDS, ids=IDS)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "CHUNK_EVENTS_MAX", 20)
    monkeypatch.setattr(taking, "STEP_EVENTS", 6)


class World:
    """A database to begin with, and what a job makes of it."""

    def __init__(self, folder: Path, job: str, make: Make, batches: int) -> None:
        self._folder = folder
        self.job = job
        place = make(folder / "begin", batches)
        assert place.jobs.checkpoint("TRUNCATE")
        place.close()
        self.before = state(folder / "begin" / "appliance.db")
        path = self.copy()
        run(path, job)
        self.after = state(path)
        assert (self.before == self.after) == (job == "seal")
        assert bool(hot_events(path)) == (job != "seal")

    def copy(self) -> Path:
        """A copy to work on."""
        path = self._folder / "work.db"
        for old in self._folder.glob("work.db*"):
            old.unlink()
        shutil.copy(self._folder / "begin" / "appliance.db", path)
        return path

    def check(self, path: Path) -> None:
        """Look at what was broken off, and finish it."""
        broken_off = state(path)
        for name in ("visit 1", "event 1", "visit 2", "event 2"):
            rows = broken_off[name]
            assert len({row[0] for row in rows}) == len(rows), "doubled"
            assert set(self.after[name]) <= set(rows) <= set(self.before[name]), "lost"
        run(path, self.job)
        assert state(path) == self.after


def hot_events(path: Path) -> int:
    with closing(connect(path, read_only=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM event").fetchone()[0])


@every_job
def test_broken_off_anywhere(tmp_path: Path, job: str, make: Make, batches: int) -> None:
    assert break_off(World(tmp_path, job, make, batches), step=3) > 30


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("more", [0, 4, 9])
@every_job
def test_broken_off_at_every_statement(tmp_path: Path, job: str, make: Make, batches: int, more: int) -> None:
    assert break_off(World(tmp_path, job, make, batches + more), step=1) > 40


def break_off(world: World, step: int) -> int:
    """Break the job off at every so many points of it; how many points there are."""
    point = 0
    while run_until(path := world.copy(), world.job, point):
        world.check(path)
        point += step
    assert state(path) == world.after
    return point


@every_job
def test_killed_in_the_middle(tmp_path: Path, job: str, make: Make, batches: int) -> None:
    world = World(tmp_path, job, make, batches)
    killed = [kill(world, statement) for statement in Random(job).sample(range(5, 90), 4)]
    assert any(killed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@every_job
def test_killed_at_every_statement(tmp_path: Path, job: str, make: Make, batches: int) -> None:
    world = World(tmp_path, job, make, batches)
    statement = 0
    while kill(world, statement):
        statement += 1
    assert statement > 50


def kill(world: World, statement: int) -> bool:
    """Kill a process of its own there, and finish its job. False: it came to its end before."""
    path = world.copy()
    done = subprocess.run([sys.executable, "-m", "tests.crash.jobs", str(path), world.job, str(statement)])
    assert done.returncode in (0, -signal.SIGKILL)
    world.check(path)
    return bool(done.returncode)


def test_every_job_is_broken_off() -> None:
    assert {job for job, _, _ in WORLDS} == set(JOBS)
