"""Real parts for every test: a database in a folder of its own, and the data they need."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.config import Settings
from appliance.storage import projects
from tests import postgresql as postgresql_server
from tests.engines import ENGINES, OF_BOTH, AnyDatabase, made
from tests.running import Running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".")[2]
    marked = metafunc.definition.get_closest_marker
    if module in OF_BOTH and "database" in metafunc.fixturenames and not marked("sqlite"):
        metafunc.parametrize("database", ENGINES[1:] if marked("servers") else ENGINES, indirect=True)


@pytest.fixture
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyDatabase]:
    """An empty database: SQLite, or of the engine that the test is parametrized with."""
    engine = getattr(request, "param", "sqlite")
    opened = made(tmp_path, None if engine == "sqlite" else request.getfixturevalue(engine))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresql_server.Server]:
    """A PostgreSQL server without TimescaleDB."""
    if postgresql_server.programs() is None:
        pytest.skip("PostgreSQL not installed")
    with postgresql_server.server() as server:
        yield server


@pytest.fixture(scope="session")
def timescaledb() -> Iterator[postgresql_server.Server]:
    """A PostgreSQL server with TimescaleDB."""
    if not postgresql_server.has_timescaledb():
        pytest.skip("TimescaleDB not installed")
    with postgresql_server.server(timescaledb=True) as server:
        yield server


@pytest.fixture(scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A whole appliance in this process, its drain beside it, with a project for example.com."""
    from appliance.app import Appliance  # the whole application: only for the tests that need it

    appliance = Appliance(Settings(data_dir=tmp_path_factory.mktemp("running"), rate_limit_address=0))
    await appliance.start()
    made = await projects.create(
        appliance.database, name="Site", domains=["example.com"], private_key=True, actor="test", at=clock.now()
    )
    async with Running(appliance, made) as joined:
        yield joined
    await appliance.stop()
