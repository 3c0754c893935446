"""Real parts for every test: a database in a folder of its own, and the data they need."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.config import Settings
from appliance.storage import projects
from appliance.storage.sqlite.database import SqliteDatabase
from tests import postgresql as postgresql_server
from tests.running import Running


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An empty SQLite database."""
    opened = SqliteDatabase(tmp_path / "appliance.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresql_server.Server]:
    """A PostgreSQL server, with TimescaleDB where it is installed."""
    if postgresql_server.programs() is None:
        pytest.skip("PostgreSQL not installed")
    with postgresql_server.server() as server:
        yield server


@pytest.fixture(scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A whole appliance in this process, its drain beside it, with a project for example.com."""
    from appliance.app import Appliance  # the whole application: only for the tests that need it

    appliance = Appliance(Settings(data_dir=tmp_path_factory.mktemp("running")))
    await appliance.start()
    made = await projects.create(
        appliance.database, name="Site", domains=["example.com"], private_key=True, actor="test", at=clock.now()
    )
    async with Running(appliance, made) as joined:
        yield joined
    await appliance.stop()
