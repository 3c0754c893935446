"""Two thousand random worlds in PostgreSQL and in TimescaleDB: they say the same as plain counting."""

from pathlib import Path
from random import Random

import pytest

from tests.postgresql import Server
from tests.queries.test_reports import compare, compare_ranges, worlds


@pytest.mark.long
@pytest.mark.parametrize("first", range(100, 2_100, 50))
async def test_two_thousand_random_worlds(tmp_path: Path, server: Server | None, first: int) -> None:
    if server is None:
        pytest.skip("SQLite has tests of its own, in all states (test_states.py)")
    seeds = range(first, first + 50)
    async with worlds(tmp_path, seeds, server) as made:
        for seed, place in zip(seeds, made.places, strict=True):
            await compare(made.reports, place, Random(1_000_000 + seed), 6, made.stored)
            await compare_ranges(made.reports, place, Random(2_000_000 + seed), 2)
