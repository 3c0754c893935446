"""Custom properties in the query worker: what counts as a value, and columns that follow the database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.storage.dimensions import property_column
from appliance.storage.evaluation import CodeSet, Plan, Step
from appliance.storage.sqlite.evaluator import Evaluator
from appliance.storage.sqlite.worker.properties import names_of, value_of
from tests.oracle import Event, Visit
from tests.queries.worlds import Store, instant

MONDAY = instant("2026-03-02 12:00")
PLAN = property_column("plan")
LABELS = f"SELECT d.text, count(*) FROM event e LEFT JOIN dictionary_{PLAN} d ON d.code = e.{PLAN} GROUP BY d.text"


@pytest.mark.parametrize(
    ("properties", "value"),
    [
        (None, ""),
        ("", ""),
        ("{}", ""),
        ('{"plan":"pro"}', "pro"),
        ('{"plan":""}', ""),
        ('{"plan":null}', ""),
        ('{"plan":"(none)"}', ""),  # what answers call it when there is none
        ('{"plan":["(none)"]}', '["(none)"]'),
        ('{"plans":"pro"}', ""),
        ('{"a":{"plan":"no"},"plan":"yes"}', "yes"),
        ('{"plan":"\\u00e4\\"\\\\"}', 'ä"\\'),
        ('{"plan":12}', "12"),
        ('{"plan":1.50}', "1.50"),
        ('{"plan":true}', "true"),
        ('{"plan":["a",1]}', '["a",1]'),
        ('{"plan":{"b":null}}', '{"b":null}'),
        ("[1]", ""),
        ('{"plan":', ""),
    ],
)
def test_a_property_as_text(properties: str | None, value: str) -> None:
    assert value_of(properties, "plan") == value


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        (None, ""),
        ("{}", ""),
        ("[1]", ""),
        ('{"b":1,"a":"x"}', '["a","b"]'),
        ('{"b":null,"a":"","":"x","\u00e4":false}', '["ä"]'),
    ],
)
def test_the_names_that_have_a_value(properties: str | None, names: str) -> None:
    assert names_of(properties) == names


def test_columns_are_identifiers_whatever_the_name() -> None:
    names = ["plan", "Plan", "", "a b", '"; DROP TABLE event --', "ä", "x" * 300]
    columns = {property_column(name) for name in names}
    assert len(columns) == len(names)
    assert all(column.isidentifier() and column.isascii() for column in columns)


def bought(plan: object, visitor: int = 1) -> Visit:
    return Visit(visitor, [Event(MONDAY, properties={"plan": plan} if plan is not None else {})])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "appliance.db")
    made.add([(1, bought("free")), (1, bought("pro")), (1, bought("pro")), (1, bought(None)), (2, bought("theirs"))])
    return made


@pytest.fixture
async def evaluator(store: Store) -> AsyncIterator[Evaluator]:
    made = Evaluator(store.path, temp_directory=store.path.parent / "tmp")
    yield made
    await made.close()


async def labels(evaluator: Evaluator, project: int = 1) -> dict[object, object]:
    plan = Plan(project, (PLAN,), (), (PLAN,), (Step((LABELS,)),), ("plan",))
    [[rows]] = await evaluator.ask(plan)
    return dict(rows)


async def test_values_follow_what_is_added_and_belong_to_a_project(store: Store, evaluator: Evaluator) -> None:
    assert await labels(evaluator) == {"free": 1, "pro": 2, None: 1}
    assert await labels(evaluator, 2) == {"theirs": 1}
    store.add([(1, bought("team")), (1, bought("pro"))])
    assert await labels(evaluator) == {"free": 1, "pro": 3, "team": 1, None: 1}


async def test_values_are_read_anew_when_rows_are_gone(store: Store, evaluator: Evaluator) -> None:
    await labels(evaluator)
    with store.transaction():
        store.connection.execute("DELETE FROM event WHERE id = 1")
        store.connection.execute("INSERT INTO meta VALUES ('hot_generation', '1')")
    assert await labels(evaluator) == {"pro": 2, None: 1}


async def test_visits_that_change_leave_properties_alone(store: Store, evaluator: Evaluator) -> None:
    [visit_id] = store.add([(1, visit := bought("pro"))])
    await labels(evaluator)
    visit.visitor = 5
    store.update_visit(1, visit_id, visit)
    store.connection.execute("INSERT INTO change (events) VALUES ('[1, 2]')")
    assert await labels(evaluator) == {"free": 1, "pro": 3, None: 1}


@pytest.mark.parametrize(
    ("code_set", "found"),
    [
        (CodeSet(PLAN, "is", ("pro", "nobody's")), 2),
        (CodeSet(PLAN, "is", ("PRO",), False), 2),
        (CodeSet(PLAN, "contains", ("r",)), 3),
        (CodeSet(PLAN, "matches", ("^f",)), 1),
        (CodeSet(PLAN, "is", ("(none)",), True, ((0, "(none)"),)), 1),
    ],
)
async def test_code_sets_choose_among_values(evaluator: Evaluator, code_set: CodeSet, found: int) -> None:
    select = f"SELECT count(*) FROM event e WHERE e.{PLAN} IN (SELECT unnest(CAST($set AS INTEGER[])))"
    plan = Plan(1, (PLAN,), (), (), (Step((select,), code_sets={"set": code_set}),), ("plan",))
    assert await evaluator.ask(plan) == [[[(found,)]]]
