"""An appliance of their own for the dialects, whose visitors nobody else's tests expect."""

from collections.abc import AsyncIterator

import pytest

from tests.ingest.dialects.site import Site, make_site
from tests.running import Running, started


@pytest.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with started(tmp_path_factory.mktemp("dialects")) as joined:
        yield joined


@pytest.fixture
async def site(running: Running) -> AsyncIterator[Site]:
    """A site to whose project nothing was sent yet."""
    async with await make_site(running) as opened:
        yield opened
