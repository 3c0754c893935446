"""Code sets resolved against the dictionaries of a PostgreSQL database.

Texts are compared here (storage/matching.py). What was found is remembered, and next time only what was minted since is
looked at: codes become visible in ascending order (dictionary.py).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from appliance.storage.evaluation import CodeSet
from appliance.storage.matching import matcher
from appliance.storage.postgresql.dictionary import digest

CODE_SETS_KEPT: Final = 512
AT_ONCE: Final = 1_000  # texts that are compared without leaving the event loop

Coded = tuple[int, str]  # a code and its text
Fetch = Callable[[str, Sequence[Any]], Awaitable[list[tuple[Any, ...]]]]

_EXACT: Final = (
    "SELECT d.code FROM dictionary d"
    " WHERE d.project_id = %s AND d.dimension = %s AND d.digest = ANY(CAST(%s AS BYTEA[]))"
)
_AFTER: Final = (
    "SELECT d.code, d.text FROM dictionary d"
    " WHERE d.project_id = %s AND d.dimension = %s AND d.code > %s ORDER BY d.code"
)


class _Found(NamedTuple):
    newest: int  # code that was tried
    codes: tuple[int, ...]


class CodeSets:
    """Those that were asked for lately. `generation` tells when texts may have been taken out."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[int, CodeSet], _Found] = OrderedDict()
        self._generation = 0

    def follow(self, generation: int) -> None:
        """Forget all when the generation is another."""
        if generation != self._generation:
            self._found.clear()
            self._generation = generation

    async def resolve(self, fetch: Fetch, project_id: int, wanted: CodeSet) -> list[int]:
        """Codes that a set over a stored dictionary stands for, in the snapshot that `fetch` reads. Raises Invalid."""
        if wanted.matching == "is" and wanted.case_sensitive and not wanted.labels:
            codes = [code for code, text in wanted.extra if text in wanted.values]
            values = (project_id, wanted.dictionary, [digest(value) for value in wanted.values])
            return codes + [code for (code,) in await fetch(_EXACT, values)]
        key = (project_id, wanted)
        found = self._found.get(key)
        newest = found.newest if found is not None else 0
        fresh: list[Any] = await fetch(_AFTER, (project_id, wanted.dictionary, newest))
        if found is None or fresh:
            tried = [*(wanted.extra if found is None else ()), *fresh]
            more = await matching(wanted, tried)
            found = _Found(fresh[-1][0] if fresh else newest, (*(found.codes if found else ()), *more))
        self._found[key] = found
        self._found.move_to_end(key)
        if len(self._found) > CODE_SETS_KEPT:
            self._found.popitem(last=False)
        return list(found.codes)


async def matching(wanted: CodeSet, tried: Sequence[Coded]) -> list[int]:
    """Which of these codes a set stands for. Raises Invalid."""
    if len(tried) <= AT_ONCE:
        return _matching(wanted, tried)
    return await asyncio.to_thread(_matching, wanted, tried)


def _matching(wanted: CodeSet, tried: Sequence[Coded]) -> list[int]:
    test = matcher(wanted.matching, wanted.values, case_sensitive=wanted.case_sensitive)
    labels = dict(wanted.labels)
    return [code for code, text in tried if test(labels.get(text, text))]
