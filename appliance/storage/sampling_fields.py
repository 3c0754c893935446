"""What sampling may be set to. Each function gives back the stored form, or raises Invalid with the field: `strategy`,
`rate`, `period_seconds`, `pattern`."""

import re
from collections.abc import Iterable
from typing import Final, get_args

import msgspec

from appliance.errors import Invalid
from appliance.model import UNSAMPLED, Sampling, SamplingRule, SourceSettings, Strategy

STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
PERIOD_SECONDS: Final = (10, 86_400)
RULES_MAX: Final = 50
PATTERN_CHARACTERS_MAX: Final = 255  # as many as a name may have

_PER_CENT: Final = UNSAMPLED // 100
_PERCENTAGE: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?", re.ASCII)


def sampling(given: Sampling) -> Sampling:
    """Sampling with numbers within their bounds. What keeps everything is always the same, and only a time window has a
    period."""
    if given.strategy not in STRATEGIES:
        raise Invalid(f"Choose one of {', '.join(STRATEGIES)}.", code="unknown", field="strategy")
    if not 1 <= given.rate <= UNSAMPLED:
        raise _not_a_rate()
    if given.strategy == "none" or given.rate == UNSAMPLED:
        return Sampling()
    if given.strategy != "window":
        return Sampling(given.strategy, given.rate)
    low, high = PERIOD_SECONDS
    if not low <= given.period_seconds <= high:
        raise Invalid(f"Use a number from {low} to {high:,}.", code="out_of_range", field="period_seconds")
    return given


def rules(given: Iterable[SamplingRule]) -> tuple[SamplingRule, ...]:
    """Rules, in order, whose patterns and sampling can be used."""
    checked = tuple(SamplingRule(_pattern(rule.pattern), sampling(rule.sampling)) for rule in given)
    if len(checked) > RULES_MAX:
        raise Invalid(f"Use at most {RULES_MAX} rules.", code="too_many", field="pattern")
    return checked


def of_source(given: SourceSettings) -> SourceSettings:
    """A source's settings."""
    if given.sampling is None:
        return given
    return msgspec.structs.replace(given, sampling=sampling(given.sampling))


def rate(percentage: str) -> int:
    """Parts per million of a percentage as it is typed: `10`, `0.5`, `12.25 %`."""
    typed = _PERCENTAGE.fullmatch(percentage.strip().removesuffix("%").rstrip())
    if typed is None:
        raise _not_a_rate()
    found = int(typed[1]) * _PER_CENT + int((typed[2] or "").ljust(4, "0"))
    if not 1 <= found <= UNSAMPLED:
        raise _not_a_rate()
    return found


def percentage(ppm: int) -> str:
    """Parts per million as a percentage is typed."""
    return f"{ppm / _PER_CENT:.4f}".rstrip("0").removesuffix(".")


def _pattern(text: str) -> str:
    pattern = text.strip()
    if not 1 <= len(pattern) <= PATTERN_CHARACTERS_MAX:
        why = f"Give a name of at most {PATTERN_CHARACTERS_MAX} characters; * stands for anything."
        raise Invalid(why, code="required", field="pattern")
    return pattern


def _not_a_rate() -> Invalid:
    why = "Use a percentage above 0 and up to 100, with at most four decimals."
    return Invalid(why, code="out_of_range", field="rate")
