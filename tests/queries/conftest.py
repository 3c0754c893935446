"""What questions are asked of: each engine."""

import pytest

from tests.engines import ENGINES
from tests.postgresql import Server


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest) -> Server | None:
    """None for SQLite, else a server on which a database is made."""
    return None if request.param == "sqlite" else request.getfixturevalue(request.param)
