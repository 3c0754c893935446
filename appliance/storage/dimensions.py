"""The dictionaries that turn text into codes, and which columns of events and visits use which one.

Columns that hold the same sort of text share a dictionary, so entry and exit pages have the codes of pages.
Numbers are stored in the database and never reused.
"""

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

_SHARED: Final[dict[str, str]] = {
    "entry_path": "path",
    "exit_path": "path",
    "entry_hostname": "hostname",
    "exit_hostname": "hostname",
}


def dictionary_of(column: str) -> int:
    """Number of the dictionary whose codes `column` holds; KeyError for a column that holds no codes."""
    return DICTIONARIES[_SHARED.get(column, column)]
