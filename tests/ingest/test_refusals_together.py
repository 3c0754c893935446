"""What was not taken: counted whole, shown in a bounded list that no flood washes away."""

import pytest

from appliance.broadcast import Broadcast
from appliance.clock import HOUR, MINUTE
from appliance.ingest.refusals import KEPT_PER_PROJECT, Refusal, Refusals
from tests.builders import at

NOW = at(0)


def refusal(reason: str, moment: int = NOW) -> Refusal:
    return Refusal(moment, "dropped", reason, "", "click", "/", "native")


@pytest.mark.parametrize("reason", ["rate_limited", "quota", "sampled", "source_off"])
def test_a_flood_is_one_line_a_minute_that_counts(reason: str) -> None:
    shown: Broadcast[Refusal] = Broadcast()
    refusals = Refusals(shown)
    refusals.add(1, refusal("bot"))
    before = shown.position
    for number in range(3 * KEPT_PER_PROJECT):
        refusals.add(1, refusal(reason, NOW + number * 3 * MINUTE // (3 * KEPT_PER_PROJECT)))
    newest = refusals.newest(1, NOW)
    assert [(one.reason, one.times) for one in newest] == [(reason, KEPT_PER_PROJECT)] * 3 + [("bot", 1)]
    assert refusals.counts[1, reason] == 3 * KEPT_PER_PROJECT
    assert shown.position - before == 3


def test_others_are_shown_one_by_one() -> None:
    refusals = Refusals(Broadcast())
    for _ in range(5):
        refusals.add(1, refusal("bot"))
    assert [one.times for one in refusals.newest(1, NOW)] == [1] * 5


def test_reasons_and_projects_are_shown_apart() -> None:
    refusals = Refusals(Broadcast())
    for project, reason in ((1, "quota"), (1, "sampled"), (2, "quota"), (1, "quota")):
        refusals.add(project, refusal(reason))
    assert [(one.reason, one.times) for one in refusals.newest(1, NOW)] == [("sampled", 1), ("quota", 2)]
    assert [(one.reason, one.times) for one in refusals.newest(2, NOW)] == [("quota", 1)]


def test_after_two_days_they_are_gone() -> None:
    refusals = Refusals(Broadcast())
    refusals.add(1, refusal("quota"))
    assert refusals.newest(1, NOW + 49 * HOUR) == []
