from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.storage.sqlite.database import SqliteDatabase
from tests.web.administration import Administration, Browser
from tests.web.dashboards import NOW, Dashboards, opened


@pytest.fixture
def administration(database: SqliteDatabase, tmp_path: Path) -> Administration:
    return Administration(database, tmp_path)


@pytest.fixture(scope="module")
async def dashboards(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dashboards]:
    """The site of tests/web/dashboards.py at its NOW, shared by a module's tests, which only read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: NOW)
        async with opened(tmp_path_factory.mktemp("dashboards")) as ready:
            await ready.site()
            await ready.owner()  # without an account every page leads to the set-up
            yield ready


@pytest.fixture(scope="module")
async def reader(dashboards: Dashboards) -> Browser:
    """Who may see that site."""
    return await dashboards.owner()
