"""The dictionaries that turn text into codes, and which columns of events and visits use which one.

Columns that hold the same sort of text share a dictionary, so entry and exit pages have the codes of pages.
Numbers are stored in the database and never reused.
"""

from hashlib import blake2b
from typing import Final

DICTIONARIES: Final[dict[str, int]] = {
    "name": 1,
    "source": 2,
    "hostname": 3,
    "path": 4,
    "title": 5,
    "user": 6,
    "currency": 7,
    "referrer": 8,
    "referrer_source": 9,
    "channel": 10,
    "utm_source": 11,
    "utm_medium": 12,
    "utm_campaign": 13,
    "utm_content": 14,
    "utm_term": 15,
    "click_id": 16,
    "country": 17,
    "region": 18,
    "city": 19,
    "browser": 20,
    "browser_version": 21,
    "os": 22,
    "os_version": 23,
    "device": 24,
    "language": 25,
    "screen": 26,
    "context": 27,
}

# What a visit has of its first event: acquisition, place and device. It never changes.
OF_FIRST_EVENT: Final = frozenset(name for name, number in DICTIONARIES.items() if 8 <= number <= 26)

# What an event carries of its visit, so that most answers need no join.
CARRIED: Final = OF_FIRST_EVENT | {"visitor"}

DIRECT: Final = "Direct / None"
NOT_SET: Final = "(not set)"
NONE: Final = "(none)"

_LABELS: Final[dict[str, str]] = {
    **dict.fromkeys(("name", "source", "hostname", "path", "currency"), NONE),
    **dict.fromkeys(("referrer", "referrer_source"), DIRECT),
}
# What answers call a missing value, by the number of the dictionary. An event is never without its name.
_FOLDED: Final[dict[int, str]] = {
    number: _LABELS.get(name, NOT_SET)
    for name, number in DICTIONARIES.items()
    if name not in ("name", "title", "user", "click_id", "context")
}

_SHARED: Final[dict[str, str]] = {
    "entry_path": "path",
    "exit_path": "path",
    "entry_hostname": "hostname",
    "exit_hostname": "hostname",
}

PROPERTY_PREFIX: Final = "property_"


def dictionary_of(column: str) -> int | str:
    """The dictionary whose codes `column` holds: its number, or the column itself for a custom property.

    Raises KeyError for a column that holds no codes.
    """
    if is_property(column):
        return column
    return DICTIONARIES[_SHARED.get(column, column)]


def label_of_missing(column: str) -> str:
    """What answers call code 0 of a column."""
    return NONE if is_property(column) else _LABELS.get(_SHARED.get(column, column), NOT_SET)


def is_missing(dimension: int, text: str) -> bool:
    """Whether a text has code 0: nothing, or just what answers call that. Two groups of one label would be one name for
    two things, in filters and comparisons."""
    return not text or text == _FOLDED.get(dimension)


def property_column(name: str) -> str:
    """The column of `event` that holds the codes of a custom property, and the name of its dictionary.

    An identifier whatever the name is: a property's name never becomes SQL.
    """
    return PROPERTY_PREFIX + blake2b(name.encode(), digest_size=12).hexdigest()


def is_property(column: str) -> bool:
    """Whether a column of `event` is a custom property."""
    return column.startswith(PROPERTY_PREFIX)
