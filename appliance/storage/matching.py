"""How text is compared in filters: the same for every engine, because it happens here and not in SQL.

Without case means RE2's simple case folding, for all three ways of comparing.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import re2

from appliance.errors import Invalid
from appliance.storage.evaluation import Matching

# Of one question, in sum. RE2 compiles while it holds the interpreter's lock, so no thread could do it beside the
# event loop: what bounds the time is how much there is to compile.
PATTERNS_MAX: Final = 25
PATTERN_LENGTH_MAX: Final = 1_000
PATTERNS_LENGTH_MAX: Final = 5_000
# `\pL` is 650 ranges to read, 0.1 ms each time that it is written.
UNICODE_CLASSES_MAX: Final = 10

# A pattern that is larger than this when compiled is refused: after 2 ms, where RE2's own 8 MB take 200 ms. A page of
# 1,000 characters, an alternative of 90 pages, or a word of any script are a tenth of it.
_PATTERN_BYTES_MAX: Final = 256 << 10
# A list of texts, whose size the request bounds, is always taken.
_TEXTS_BYTES_MAX: Final = 64 << 20

_UNICODE_CLASS: Final = re.compile(r"\\[pP]")
_WILDCARD: Final = re.compile(r"(\*+)")
_SPECIAL: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")


def matcher(matching: Matching, values: Sequence[str], *, case_sensitive: bool = True) -> Callable[[str], bool]:
    """A test whether a text is, contains or matches at least one of the values. Raises Invalid for a bad pattern."""
    if case_sensitive and matching == "is":
        return frozenset(values).__contains__
    if case_sensitive and matching == "contains" and len(values) == 1:
        (value,) = values
        return lambda text: value in text
    if matching == "matches":
        searches = [_compiled(value, case_sensitive) for value in values]
        return lambda text: any(search.search(text) is not None for search in searches)
    if not values:
        return lambda text: False
    # All texts at once: one after the other, a thousand of them cost 2 ms for each text that they are looked for in.
    texts = _any_of(tuple(values), case_sensitive)
    test = texts.fullmatch if matching == "is" else texts.search
    return lambda text: test(text) is not None


def path_pattern(wildcards: str) -> str:
    """The regular expression of a whole path in which `*` stands for any part of one segment and `**` for anything."""

    def of(part: str) -> str:
        if part.startswith("*"):
            return "[^/]*" if part == "*" else "(?s:.*)"
        return _SPECIAL.sub(r"\\\1", part)

    return rf"\A{''.join(map(of, _WILDCARD.split(wildcards)))}\z"


def check_patterns(patterns: Sequence[str]) -> None:
    """Raises Invalid when one question cannot ask for all these, because they would take too long to compile."""
    if len(patterns) > PATTERNS_MAX:
        raise _too_much(f"more than {PATTERNS_MAX} patterns: join some by |")
    if sum(map(len, patterns)) > PATTERNS_LENGTH_MAX:
        raise _too_much(f"more than {PATTERNS_LENGTH_MAX:,} characters of patterns")
    if sum(len(_UNICODE_CLASS.findall(pattern)) for pattern in patterns) > UNICODE_CLASSES_MAX:
        raise _too_much(f"more than {UNICODE_CLASSES_MAX} classes of Unicode (such as \\pL) in patterns")


@lru_cache(maxsize=256)
def check_pattern(pattern: str) -> None:
    """Raises Invalid when this is not a regular expression in RE2's syntax, or one that would take too long."""
    check_patterns([pattern])
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise _too_much(f"a pattern may have {PATTERN_LENGTH_MAX:,} characters")
    _compile(pattern, _options(bytes_max=_PATTERN_BYTES_MAX))


@lru_cache(maxsize=256)
def _compiled(pattern: str, case_sensitive: bool) -> Any:
    """A pattern that was checked, or that a goal or a funnel's step is: those are never large."""
    return _compile(pattern, _options(case_sensitive=case_sensitive))


@lru_cache(maxsize=64)
def _any_of(texts: tuple[str, ...], case_sensitive: bool) -> Any:
    options = _options(case_sensitive=case_sensitive, bytes_max=_TEXTS_BYTES_MAX)
    return _compile("|".join(map(re2.escape, texts)), options)


def _options(*, case_sensitive: bool = True, bytes_max: int | None = None) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = case_sensitive
    if bytes_max is not None:
        options.max_mem = bytes_max
    return options


def _compile(pattern: str, options: Any) -> Any:
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        if text.startswith("pattern too large"):
            raise _too_much("the pattern is too large: it repeats too much, or classes of Unicode too often") from None
        raise Invalid(f"not a regular expression: {text}", code="invalid_pattern") from None


def _too_much(message: str) -> Invalid:
    return Invalid(message, code="invalid_pattern")
