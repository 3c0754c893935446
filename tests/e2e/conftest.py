"""One real server and one browser for the suite of the tracker; each test has its own project, site and visitor."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.process import Server
from tests.tracker import chromium
from tests.tracker.conftest import browser, chromium_path, playwright  # noqa: F401 - fixtures

pytest.register_assert_rewrite("tests.e2e.tracked")

from tests.e2e.tracked import OPERATOR, PASSWORD, Make, Tracked  # noqa: E402 - once it is registered


@pytest.fixture(scope="session")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tracked") / "data"
    with Server(folder, admin_email=OPERATOR, admin_password=PASSWORD) as started:
        yield started


@pytest.fixture
def make(appliance: Server) -> Iterator[Make]:
    made = Make(appliance)
    yield made
    made.close()


@pytest.fixture
def tracked(make: Make) -> Tracked:
    return make()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:  # noqa: F811
    """A visitor. Whatever the tracker does, no page may see an error of its."""
    context = await chromium.visitor(browser)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context
    await context.close()
    assert errors == []


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    return await context.new_page()
