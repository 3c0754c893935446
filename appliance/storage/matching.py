"""How text is compared in filters: the same for every engine, because it happens here and not in SQL.

Without case means RE2's simple case folding, for all three ways of comparing.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import re2

from appliance.errors import Invalid
from appliance.storage.evaluation import Matching

PATTERN_LENGTH_MAX = 1000


def matcher(matching: Matching, values: Sequence[str], *, case_sensitive: bool = True) -> Callable[[str], bool]:
    """A test whether a text is, contains or matches at least one of the values. Raises Invalid for a bad pattern."""
    if case_sensitive and matching == "is":
        return frozenset(values).__contains__
    if case_sensitive and matching == "contains":
        return lambda text: any(value in text for value in values)
    searches = [_compiled(value, matching != "matches", case_sensitive) for value in values]
    if matching == "is":
        return lambda text: any(search.fullmatch(text) is not None for search in searches)
    return lambda text: any(search.search(text) is not None for search in searches)


def check_pattern(pattern: str) -> None:
    """Raises Invalid when this is not a regular expression in RE2's syntax."""
    _compiled(pattern, False, True)


@lru_cache(maxsize=256)
def _compiled(pattern: str, literal: bool, case_sensitive: bool) -> Any:
    if len(pattern) > PATTERN_LENGTH_MAX and not literal:
        raise Invalid(f"a pattern may have {PATTERN_LENGTH_MAX} characters", code="invalid_pattern")
    options = re2.Options()
    options.log_errors = False
    options.literal = literal
    options.case_sensitive = case_sensitive
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise Invalid(f"not a regular expression: {text}", code="invalid_pattern") from None
