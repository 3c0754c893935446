"""Dictionaries of one project inside DuckDB, and code sets resolved against them. For the query worker only.

Codes are only ever added (until the hot generation changes), so both follow by reading what is above the last code.
"""

import sqlite3
from collections.abc import Iterable
from functools import partial
from typing import Any

from appliance.storage.evaluation import CodeSet
from appliance.storage.matching import matcher
from appliance.storage.sqlite.worker.properties import Properties
from appliance.storage.worker.texts import Texts

CODE_SETS_KEPT = 128


class Dictionaries:
    """Tables `dictionary_<number or property>(code, text)` of a DuckDB connection, and the code sets asked for lately.

    `properties` holds the dictionaries that are not stored.
    """

    def __init__(self, project_id: int, duck: Any, properties: Properties) -> None:
        self._project_id = project_id
        self._texts = Texts(duck)
        self._properties = properties
        self._sets: dict[CodeSet, tuple[int, list[int]]] = {}  # newest code tried, codes found

    def forget(self) -> None:
        self._texts.forget()
        self._sets.clear()
        self._properties.forget()

    def load(self, connection: sqlite3.Connection, numbers: Iterable[int | str]) -> None:
        """Bring the tables of these dictionaries up to the snapshot that is open on the connection."""
        for number in numbers:
            self._texts.load(number, partial(self._rows_after, connection, number))

    def resolve(self, connection: sqlite3.Connection, wanted: CodeSet) -> list[int]:
        """Codes that the set stands for in the snapshot that is open on the connection. Raises Invalid."""
        if wanted.matching == "is" and wanted.case_sensitive and not wanted.labels:
            return self._exact(connection, wanted)
        newest, codes = self._sets.pop(wanted, (0, None))
        fresh = self._rows_after(connection, wanted.dictionary, newest)
        if codes is None or fresh:  # compiled only for texts that it was not tried on
            test = matcher(wanted.matching, wanted.values, case_sensitive=wanted.case_sensitive)
            tried = [*(wanted.extra if codes is None else ()), *fresh]
            labels = dict(wanted.labels)
            codes = [*(codes or ()), *(code for code, text in tried if test(labels.get(text, text)))]
            newest = fresh[-1][0] if fresh else newest
        self._sets[wanted] = (newest, codes)
        if len(self._sets) > CODE_SETS_KEPT:
            del self._sets[next(iter(self._sets))]
        return codes

    def _exact(self, connection: sqlite3.Connection, wanted: CodeSet) -> list[int]:
        codes = [code for code, text in wanted.extra if text in wanted.values]
        if isinstance(wanted.dictionary, str):
            found = (self._properties.find(wanted.dictionary, value) for value in wanted.values)
            return codes + [code for code in found if code is not None]
        select = "SELECT d.code FROM dictionary d WHERE d.project_id = ? AND d.dimension = ? AND d.text = ?"
        for value in wanted.values:
            codes += [code for (code,) in connection.execute(select, (self._project_id, wanted.dictionary, value))]
        return codes

    def _rows_after(self, connection: sqlite3.Connection, number: int | str, code: int) -> list[tuple[int, str]]:
        if isinstance(number, str):
            return self._properties.after(number, code)
        select = (
            "SELECT d.code, d.text FROM dictionary d"
            " WHERE d.project_id = ? AND d.dimension = ? AND d.code > ? ORDER BY d.code"
        )
        return connection.execute(select, (self._project_id, number, code)).fetchall()
