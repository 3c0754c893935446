"""Sampling as it stands in a form: a strategy, a percentage, a period; and rules, each a line of fields."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from appliance.errors import Invalid
from appliance.model import Sampling, SamplingRule
from appliance.storage import sampling_fields
from appliance.web.forms import Fields
from appliance.web.views_limits import RuleFields

FIELDS: Final = ("strategy", "percent", "period")
NAMES: Final = {"rate": "percent", "period_seconds": "period"}  # of an error's field, in the form
LINES_MIN: Final = 3
LINES_FREE: Final = 1  # empty ones below the rules


def values(sampling: Sampling) -> dict[str, str]:
    """What stands in the fields."""
    percent = "" if sampling.strategy == "none" else sampling_fields.percentage(sampling.rate)
    return {"strategy": sampling.strategy, "percent": percent, "period": str(sampling.period_seconds)}


def sent(form: Fields) -> dict[str, str]:
    """What was typed."""
    return {name: form.text(name).strip() for name in FIELDS}


def read(fields: dict[str, str]) -> Sampling:
    """Sampling from what was typed. Raises Invalid with the field as sampling_fields calls it."""
    strategy = fields["strategy"]
    if strategy == "none":
        return Sampling()
    typed = fields["period"]
    seconds = int(typed[:9]) if strategy == "window" and typed.isascii() and typed.isdigit() else 0
    wanted = Sampling(
        strategy,  # type: ignore[arg-type]  # checked by sampling_fields.sampling
        sampling_fields.rate(fields["percent"]),
        seconds,
    )
    return sampling_fields.sampling(wanted)


def rule_lines(rules: Sequence[SamplingRule]) -> tuple[RuleFields, ...]:
    """What stands in the lines of the rules."""
    lines = []
    for rule in rules:
        fields = values(rule.sampling)
        lines.append(RuleFields(pattern=rule.pattern, strategy=fields["strategy"], percent=fields["percent"]))
    return with_free_lines(lines)


def with_free_lines(lines: Sequence[RuleFields]) -> tuple[RuleFields, ...]:
    """The lines, and empty ones for more."""
    free = max(LINES_MIN - len(lines), LINES_FREE)
    return (*lines, *(RuleFields() for _ in range(free)))


def sent_lines(form: Fields) -> list[RuleFields]:
    """The lines in which something was typed."""
    names = (form.all(name) for name in ("pattern", "rule_strategy", "rule_percent"))
    lines = [
        RuleFields(pattern=pattern.strip(), strategy=strategy, percent=percent.strip())
        for pattern, strategy, percent in zip(*names, strict=False)
    ]
    return [line for line in lines if line.pattern or line.percent]


def read_rules(lines: Sequence[RuleFields], period: str) -> tuple[SamplingRule, ...]:
    """Rules from lines; one without a name is left out. Raises Invalid with the field `rule-` and its place, from 0."""
    rules: list[SamplingRule] = []
    for number, line in enumerate(lines):
        if not line.pattern:
            continue
        try:
            wanted = read({"strategy": line.strategy, "percent": line.percent, "period": period})
            rules += sampling_fields.rules([SamplingRule(line.pattern, wanted)])
        except Invalid as error:
            raise Invalid(str(error), code=error.code, field=f"rule-{number}") from None
    return sampling_fields.rules(rules)


def with_error(lines: Sequence[RuleFields], error: Invalid) -> list[RuleFields]:
    """The lines, with what is wrong beside the one that it is about."""
    return [
        replace(line, error=str(error)) if error.field == f"rule-{number}" else line
        for number, line in enumerate(lines)
    ]
