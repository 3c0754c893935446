"""Filters in words: those that the form cannot show are read, not written as JSON."""

import pytest

from appliance.queries.dimensions import DIMENSIONS
from appliance.queries.filters import from_url
from appliance.queries.goals import checking
from appliance.storage.goals import Goal
from appliance.web.filter_words import dimension_name, sentence

CHECK = checking([Goal(1, 1, "Order", "event", "Order")])


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('["has_done",["is","event:goal",["Order"]]]', "Has done: Goal is Order"),
        ('["has_not_done",["is","event:name",["Signup","Order"]]]', "Has not done: Event is Signup or Order"),
        (
            '["has_done",["and",[["is","event:page",["/a"]],["or",[["contains","visit:country_name",["l"]],["is","event:props:plan",["pro"]]]]]]]',
            "Has done: Page is /a and (Country contains l or plan is pro)",
        ),
        ('["not",["has_done",["is","visit:country",["DE"]]]]', "Not (Has done: Country is Germany)"),
        ('["not",["is_not","visit:device",["TV"]]]', "Not (Device is not TV)"),
        ('["or",[["is","event:name",["a","b","c"]],["matches","event:page",["^/x"]]]]',
         "Event is a or 2 others or Page matches ^/x"),
    ],
)  # fmt: skip
def test_a_filter_is_a_sentence(written: str, said: str) -> None:
    (tree,) = from_url([f"json:{written}"], CHECK).parts
    assert sentence(tree) == said


@pytest.mark.parametrize("name", DIMENSIONS)
def test_every_dimension_has_a_name(name: str) -> None:
    assert dimension_name(name)
