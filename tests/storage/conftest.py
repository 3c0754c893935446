from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.test_seal import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A database as the drain and the jobs have it, with a site in Berlin. `database` opens the same file."""
    made = Place(tmp_path)
    made.add_project("Europe/Berlin")
    yield made
    made.close()
