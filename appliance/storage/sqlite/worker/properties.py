"""Custom properties as columns of codes. For the query worker only.

An event's properties are stored as the text of a JSON object. The values of a name become codes of a dictionary that
the worker makes while it reads the column, dense from 1 in the order of reading; 0 is no value. So nothing is paid for
names that nobody asks for. The values of the empty name, which no property has, are the names that an event has.
"""

from collections.abc import Callable, Iterable
from itertools import islice

import msgspec

from appliance.storage.dimensions import NONE, property_column

_TEXT_BYTES = 150  # what a text costs in a dictionary beside its characters
_NO_VALUES = (b"null", b'""', f'"{NONE}"'.encode())

_objects: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Properties:
    """The properties of one project that were asked for, and their values."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # by column
        self._codes: dict[str, dict[str, int]] = {}
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        return self._bytes

    def declare(self, names: Iterable[str]) -> None:
        """Let these properties be asked for by their columns."""
        for name in names:
            column = property_column(name)
            self._names[column] = name
            self._codes.setdefault(column, {})

    def forget(self) -> None:
        """Drop all values; the columns are read anew."""
        for codes in self._codes.values():
            codes.clear()
        self._bytes = 0

    def coder(self, column: str) -> Callable[[str | None], int]:
        """What makes a stored text the code of that column. Raises KeyError for one that was not declared."""
        name, codes = self._names[column], self._codes[column]

        def code(properties: str | None) -> int:
            text = value_of(properties, name) if name else names_of(properties)
            if not text:
                return 0
            known = codes.get(text)
            if known is None:
                known = codes[text] = len(codes) + 1
                self._bytes += len(text) + _TEXT_BYTES
            return known

        return code

    def find(self, column: str, text: str) -> int | None:
        """The code of a value, None when no event has it."""
        return self._codes[column].get(text)

    def after(self, column: str, code: int) -> list[tuple[int, str]]:
        """Codes above this one with their texts, ascending."""
        return [(place, text) for place, text in enumerate(islice(self._codes[column], code, None), code + 1)]


def value_of(properties: str | None, name: str) -> str:
    """A property as text: a string itself, null and what is not there as '', all else as its JSON.

    The string that answers call a missing property is none either (storage/dimensions.py, `is_missing`).
    """
    value = _decoded(properties).get(name)
    if value is None or bytes(value) == b"null":
        return ""
    raw = bytes(value)
    text = msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()
    return "" if text == NONE else text


def names_of(properties: str | None) -> str:
    """The names that have a value, in the order of their characters, as a JSON list; '' without any."""
    found = _decoded(properties)
    names = sorted(name for name, value in found.items() if name and bytes(value) not in _NO_VALUES)
    return msgspec.json.encode(names).decode() if names else ""


def _decoded(properties: str | None) -> dict[str, msgspec.Raw]:
    if not properties:
        return {}
    try:
        return _objects.decode(properties)
    except msgspec.DecodeError:  # an event without readable properties still counts
        return {}
