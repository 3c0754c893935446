"""The arrays of the query worker follow the database: appended, patched, read anew. Checked against all rows."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from appliance.storage.dimensions import CARRIED
from appliance.storage.sqlite.chunks.columns import ABSENT
from appliance.storage.sqlite.worker.hot import EVENT_COLUMNS, VISIT_COLUMNS, HotRows, Marks, OutOfStep
from tests.oracle import Event, Visit
from tests.queries.worlds import Store, instant, world

DAY = instant("2026-03-02 00:00")
EVENT = ["visit_id", "time", "kind", "path", "visitor", "country"]
VISIT = ["start", "end", "visitor", "pageviews", "interactive", "entry_path", "country"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "appliance.db")


class Follower:
    """Hot rows of one project, refreshed as the worker does it."""

    def __init__(self, store: Store, project: int) -> None:
        self.project = project
        self.rows = HotRows(project)
        self.connection = sqlite3.connect(f"file:{store.path}?mode=ro", uri=True, isolation_level=None)
        self.seen: Marks | None = None
        self.reloads = 0

    def refresh(self, visit: list[str] = VISIT, event: list[str] = EVENT) -> bool:
        self.connection.execute("BEGIN")
        marks = Marks.read(self.connection, self.project)
        if self.seen is not None and not marks.follow(self.seen):
            self.rows.reset()
            self.reloads += 1
        self.seen = marks
        changed = self.rows.refresh(self.connection, marks, visit, event)
        self.connection.execute("COMMIT")
        return changed

    def check(self) -> None:
        """Every loaded column equals the database's."""
        for table, loaded in (("visit", self.rows.visits), ("event", self.rows.events)):
            columns = [name for name in loaded.columns if not (table == "event" and name in CARRIED)]
            names = ", ".join(f'ifnull("{name}", {ABSENT.get(name, 0)})' for name in columns)
            select = f"SELECT {names} FROM {table} WHERE project_id = ? ORDER BY id"
            rows = self.connection.execute(select, (self.project,)).fetchall()
            assert list(zip(*(loaded[name].tolist() for name in columns), strict=True)) == rows
        for name in CARRIED.intersection(self.rows.events.columns):
            join = (
                f"SELECT v.{name} FROM event e JOIN visit v ON v.id = e.visit_id WHERE e.project_id = ? ORDER BY e.id"
            )
            found = self.connection.execute(join, (self.project,)).fetchall()
            assert self.rows.events[name].tolist() == [value for (value,) in found]


def some(seed: int, count: int = 20) -> list[tuple[int, Visit]]:
    random = Random(seed)
    return [(random.choice([1, 1, 2]), visit) for visit in world(random, DAY, DAY + 86_400_000_000, count)]


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_followed_through_any_run_of_changes(store: Store, seed: int) -> None:
    random = Random(seed)
    follower = Follower(store, 1)
    known: list[tuple[int, int, Visit]] = []
    for _ in range(15):
        added = some(random.randrange(10**6), random.randrange(6))
        known += [
            (project, visit_id, visit) for (project, visit), visit_id in zip(added, store.add(added), strict=True)
        ]
        with store.transaction():
            for project, visit_id, visit in random.sample(known, min(len(known), random.randrange(4))):
                what = random.choice(["event", "late event", "rekey"])
                if what == "rekey":
                    visit.visitor = random.randrange(1000)
                else:
                    shift = -3_600_000_000 if what == "late event" else 60_000_000
                    visit.events.append(Event(visit.end + shift, values={"event:page": "/new"}))
                    store.add_event(project, visit_id, visit.events[-1])
                store.update_visit(project, visit_id, visit)
        wanted = random.sample(EVENT, 2), random.sample(VISIT, 2)
        follower.refresh(event=wanted[0], visit=wanted[1])
        follower.check()
    assert follower.reloads == 0


def test_nothing_new_changes_nothing(store: Store) -> None:
    store.add(some(1))
    follower = Follower(store, 1)
    assert follower.refresh()
    assert not follower.refresh()
    store.add([(2, some(2)[0][1])])  # another project's
    assert not follower.refresh()


def test_all_columns_can_be_loaded(store: Store) -> None:
    store.add(some(3))
    follower = Follower(store, 1)
    follower.refresh(list(VISIT_COLUMNS), list(EVENT_COLUMNS))
    follower.check()
    assert len(follower.rows.events) > 10


def test_more_rows_than_one_block_are_read_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.storage.sqlite.worker.hot.BLOCK_ROWS", 7)
    store.add(some(4, 40))
    follower = Follower(store, 1)
    follower.refresh()
    follower.check()


def test_changes_that_were_pruned_unseen_make_it_read_anew(store: Store) -> None:
    [(project, visit)] = some(5, 1)
    [visit_id] = store.add([(project, visit)])
    follower = Follower(store, project)
    follower.refresh()
    for visitor in (1, 2):
        visit.visitor = visitor
        store.update_visit(project, visit_id, visit)
    store.connection.execute("DELETE FROM change WHERE seq <= 1")
    follower.refresh()
    follower.check()
    assert follower.reloads == 1
    visit.visitor = 3
    store.update_visit(project, visit_id, visit)
    store.connection.execute("DELETE FROM change")
    follower.refresh()
    follower.check()
    assert follower.reloads == 2


def test_changes_that_were_pruned_when_seen_are_not_missed(store: Store) -> None:
    [(project, visit)] = some(5, 1)
    [visit_id] = store.add([(project, visit)])
    follower = Follower(store, project)
    visit.visitor = 1
    store.update_visit(project, visit_id, visit)
    follower.refresh()
    store.connection.execute("DELETE FROM change")
    visit.visitor = 2
    store.update_visit(project, visit_id, visit)
    follower.refresh()
    follower.check()
    assert follower.reloads == 0


def test_deleted_rows_are_gone_with_the_next_generation(store: Store) -> None:
    ids = store.add([(1, visit) for _, visit in some(6)])
    follower = Follower(store, 1)
    follower.refresh()
    with store.transaction():
        store.connection.execute("DELETE FROM event WHERE visit_id = ?", (ids[3],))
        store.connection.execute("DELETE FROM visit WHERE id = ?", (ids[3],))
        store.connection.execute("INSERT INTO meta VALUES ('hot_generation', '1')")
    follower.refresh()
    follower.check()
    assert follower.reloads == 1


def test_ids_that_went_backwards_are_another_database(store: Store) -> None:
    store.add(some(7))
    follower = Follower(store, 1)
    follower.refresh()
    with store.transaction():
        store.connection.execute("DELETE FROM event WHERE id > 10")
    follower.refresh()
    follower.check()
    assert follower.reloads == 1


def test_a_database_that_contradicts_itself_is_not_answered_from(store: Store) -> None:
    ids = store.add([(1, visit) for _, visit in some(8)])
    store.connection.execute("DELETE FROM visit WHERE id = ?", (ids[0],))
    follower = Follower(store, 1)
    with pytest.raises(OutOfStep):
        follower.refresh()


def test_an_unknown_column_is_refused(store: Store) -> None:
    with pytest.raises(KeyError):
        Follower(store, 1).refresh(event=["id; DROP TABLE event"])
