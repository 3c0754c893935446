from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.storage.postgresql.migrate import migrate
from appliance.storage.postgresql.pool import Pool
from appliance.storage.sqlite.database import SqliteDatabase
from tests.storage.test_seal import Place

# What is written in portable SQL alone is tested with both engines.
PORTABLE = {"test_accounts", "test_funnels", "test_goals", "test_keys", "test_projects"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in PORTABLE:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteDatabase | Pool]:
    """An empty database of the engine that the test is parametrized with."""
    opened: SqliteDatabase | Pool
    if getattr(request, "param", "sqlite") == "sqlite":
        opened = SqliteDatabase(tmp_path / "appliance.db")
    else:
        url = request.getfixturevalue("postgresql").new_database()
        migrate(url)
        opened = Pool(url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A database as the drain and the jobs have it, with a site in Berlin. `database` opens the same file."""
    made = Place(tmp_path)
    made.add_project("Europe/Berlin")
    yield made
    made.close()
