"""One browser for the session, a fresh profile for each test, and the recorder it reports to."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from tests.tracker import chromium
from tests.tracker.serving import Recorder, Site, serve


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = chromium.find()
    if path is None:
        pytest.skip("skipped: chromium not installed")
    return path


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as started:
        yield started


@pytest.fixture(scope="session")
async def browser(chromium_path: str, playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await chromium.launch(playwright, chromium_path, chromium.UNAUTOMATED)
    yield browser
    await browser.close()


@pytest.fixture
def servers() -> Iterator[tuple[Recorder, Site]]:
    yield from serve()


@pytest.fixture
def site(servers: tuple[Recorder, Site]) -> Site:
    return servers[1]


@pytest.fixture
def recorder(servers: tuple[Recorder, Site]) -> Recorder:
    return servers[0]


@pytest.fixture
async def context(browser: Browser, recorder: Recorder) -> AsyncIterator[BrowserContext]:
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
