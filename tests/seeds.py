"""Which random worlds a test runs in: a few each time, the rest by `make test-long`."""

from typing import Any

import pytest


def seeds(few: int, all_of_them: int) -> list[Any]:
    """The seeds from 0 up to `all_of_them`; those from `few` on are long."""
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(few, all_of_them))]
