"""The mark of a database that a copy is being made into (storage/copying): until it is whole nobody may use it.

A row of `meta`, so that it comes and goes in transactions of the copy; its value is what the copy is of.
"""

from typing import Final

from appliance.errors import ConfigurationError

MARK: Final = "copy_from"
SELECT_MARK: Final = f"SELECT value FROM meta WHERE name = '{MARK}'"


def refuse(found: tuple[str, ...] | None) -> None:
    """Raises ConfigurationError when SELECT_MARK found a row."""
    if found is not None:
        raise ConfigurationError(
            f"the database is an unfinished copy of {found[0]}: run `appliance copy` again, which goes on where it was"
        )
