"""What sampling may be set to, and how a percentage is typed."""

import pytest

from appliance.errors import Invalid
from appliance.model import UNSAMPLED, Sampling, SamplingRule
from appliance.storage import sampling_fields


@pytest.mark.parametrize(
    ("typed", "rate"),
    [
        ("100", UNSAMPLED),
        ("10", 100_000),
        (" 12.5 % ", 125_000),
        ("0.0001", 1),
        ("99.9999", 999_999),
        ("33.3333%", 333_333),
        ("001", 10_000),
    ],
)
def test_percentages(typed: str, rate: int) -> None:
    assert sampling_fields.rate(typed) == rate
    assert sampling_fields.rate(sampling_fields.percentage(rate)) == rate


@pytest.mark.parametrize(
    "typed", ["", "0", "0.0000", "100.0001", "101", "-1", "1e2", "0.00001", "ten", "1,5", "٣", "%"]
)
def test_what_is_no_percentage(typed: str) -> None:
    with pytest.raises(Invalid, match="above 0 and up to 100") as refused:
        sampling_fields.rate(typed)
    assert refused.value.field == "rate"


@pytest.mark.parametrize(("rate", "text"), [(1, "0.0001"), (100_000, "10"), (125_000, "12.5"), (UNSAMPLED, "100")])
def test_percentages_are_shown_as_they_are_typed(rate: int, text: str) -> None:
    assert sampling_fields.percentage(rate) == text


def test_what_keeps_everything_is_always_the_same() -> None:
    for given in (Sampling(), Sampling("none", 5), Sampling("random", UNSAMPLED), Sampling("window", UNSAMPLED, 60)):
        assert sampling_fields.sampling(given) == Sampling()


def test_only_a_window_has_a_period() -> None:
    assert sampling_fields.sampling(Sampling("random", 5, 60)) == Sampling("random", 5)
    assert sampling_fields.sampling(Sampling("window", 5, 60)) == Sampling("window", 5, 60)


def test_rules_keep_their_order_and_are_bounded() -> None:
    rules = [SamplingRule(f" a{number}* ", Sampling("random", 5)) for number in range(sampling_fields.RULES_MAX)]
    assert [rule.pattern for rule in sampling_fields.rules(rules)] == [rule.pattern.strip() for rule in rules]
    with pytest.raises(Invalid, match="at most 50 rules"):
        sampling_fields.rules([*rules, rules[0]])
    for pattern in ("", "  ", "x" * 256):
        with pytest.raises(Invalid) as refused:
            sampling_fields.rules([SamplingRule(pattern, Sampling())])
        assert refused.value.field == "pattern"
