"""Dictionaries of one project inside DuckDB. For query workers only.

Codes are only ever added (until texts are taken out), so tables follow by reading what is above the last code.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Coded = tuple[int, str]


class Texts:
    """Tables `dictionary_<number or property>(code, text)` of a DuckDB connection."""

    def __init__(self, duck: Any) -> None:
        self._duck = duck
        self._loaded: dict[int | str, int] = {}  # dictionary: newest code in its table

    def forget(self) -> None:
        """Drop all tables."""
        for number in self._loaded:
            self._duck.execute(f"DROP TABLE dictionary_{number}")
        self._loaded.clear()

    def load(self, number: int | str, after: Callable[[int], Sequence[Coded]]) -> None:
        """Bring a dictionary's table up to date; `after` gives its codes above one, ascending, and their texts."""
        if isinstance(number, str) and not number.isidentifier():
            raise KeyError(number)
        if number not in self._loaded:
            self._duck.execute(f"CREATE OR REPLACE TEMP TABLE dictionary_{number} (code INTEGER, text VARCHAR)")
            self._loaded[number] = 0
        rows = after(self._loaded[number])
        if rows:
            codes, texts = zip(*rows, strict=True)
            fresh = {"code": np.array(codes, np.int32), "text": np.array(texts, dtype=object)}
            self._duck.register("fresh_dictionary", fresh)
            self._duck.execute(f"INSERT INTO dictionary_{number} SELECT f.code, f.text FROM fresh_dictionary f")
            self._duck.unregister("fresh_dictionary")
            self._loaded[number] = codes[-1]
