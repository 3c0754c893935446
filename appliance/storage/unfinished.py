"""The mark of a database that a copy is being made into (storage/copying): until it is whole nobody may use it.

A row of `meta`, so that it comes and goes in transactions of the copy; its value is what the copy is of.
"""

from collections.abc import Sequence
from typing import Any, Final

from appliance.errors import ConfigurationError

MARK: Final = "copy_from"
SELECT_MARK: Final = f"SELECT value FROM meta WHERE name = '{MARK}'"


def refuse(found: Sequence[tuple[Any, ...]]) -> None:
    """Raises ConfigurationError when SELECT_MARK found a row."""
    for (source,) in found:
        raise ConfigurationError(
            f"the database is an unfinished copy of {source}: run `appliance copy` again, which goes on where it was"
        )
