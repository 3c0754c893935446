"""Numbered files that bring an older schema up, one after the other; a file that was applied is never changed."""

import hashlib
import re
from importlib.resources.abc import Traversable
from typing import NamedTuple

BASELINE = 1  # the version that a database made by the first release has
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class Migration(NamedTuple):
    """One numbered file."""

    version: int
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available(folder: Traversable) -> list[Migration]:
    """The migrations of a folder in order. Raises ValueError when a number is missing or there twice."""
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    found = [Migration(int(m[1]), entry.read_text("utf-8")) for entry in entries if (m := _NAME.fullmatch(entry.name))]
    if [m.version for m in found] != list(range(BASELINE + 1, BASELINE + 1 + len(found))):
        raise ValueError("migrations are not numbered one by one")
    return found
