"""Segments in filters: what they stand for, and what cannot be asked with them."""

from typing import Any

import pytest

from appliance.errors import Invalid
from appliance.queries import filters, question, segments
from appliance.queries.filters import from_url, to_json, to_url, written_parts
from appliance.storage.goals import Goal
from appliance.storage.segments import Segment

GERMAN, READER = ["is", "visit:country", ["DE"]], ["contains", "event:page", ["blog"]]
GOALS = [Goal(1, 1, "Signup", "event", "Signup")]
KNOWN = [
    Segment(3, 1, "Readers", (GERMAN, READER)),
    Segment(4, 1, "Buyers", (["is", "event:goal", ["Signup"]],)),
    Segment(5, 1, "Doers", (["has_done", ["is", "event:name", ["a"]]],)),
    Segment(6, 1, "Gone", (["is", "event:goal", ["Deleted"]],)),
]


def asked(*written: Any) -> list[Any]:
    body = {"metrics": ["visitors"], "date_range": "7d", "filters": list(written)}
    return [to_json(part) for part in written_parts(question.parse(body, GOALS, KNOWN).filter)]


@pytest.mark.parametrize("ids", [[3], ["3"]])
def test_a_segment_stands_for_its_filters(ids: list[Any]) -> None:
    both = ["and", [GERMAN, READER]]
    assert asked(["is", "segment", ids]) == [both]
    assert asked(["is", "segment", [5]]) == [["has_done", ["is", "event:name", ["a"]]]]
    other = ["is", "visit:device", ["Mobile"]]
    assert asked(other, ["is", "segment", ids]) == [other, both]
    assert asked(["not", ["is", "segment", ids]]) == [["not", both]]
    assert asked(["or", [other, ["is", "segment", ids]]]) == [["or", [other, both]]]


def test_several_are_any_of_them() -> None:
    assert asked(["is", "segment", [3, 4]]) == [["or", [["and", [GERMAN, READER]], ["is", "event:goal", ["Signup"]]]]]


def test_a_goal_in_a_segment_is_a_goal_of_the_question() -> None:
    body = {"metrics": ["conversion_rate"], "date_range": "7d", "filters": [["is", "segment", [4]]]}
    assert question.parse(body, GOALS, KNOWN).filter.parts  # else conversion_rate were refused


@pytest.mark.parametrize(
    ("written", "pointer"),
    [
        (["is", "segment", [7]], "#/filters/0/2/0"),
        (["is", "segment", [3, 7]], "#/filters/0/2/1"),
        (["is", "segment", [True]], "#/filters/0/2/0"),
        (["is", "segment", [3.5]], "#/filters/0/2/0"),
        (["is", "segment", []], "#/filters/0/2"),
        (["is_not", "segment", [3]], "#/filters/0/0"),
        (["contains", "segment", ["3"]], "#/filters/0/0"),
        (["is", "segment", [6]], "#/filters/0/2/0"),  # it names a goal that is gone
        (["has_done", ["is", "segment", [5]]], "#/filters/0/1"),  # has_done inside has_done
    ],
)
def test_what_cannot_be_asked_points_to_the_fault(written: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        asked(written)
    assert (caught.value.status, caught.value.pointer) == (400, pointer)


def test_one_cannot_be_saved_within_another() -> None:
    assert segments.checked([GERMAN, READER], GOALS) == [GERMAN, READER]
    for written in (["is", "segment", [3]], ["not", ["is", "segment", [3]]]):
        with pytest.raises(Invalid, match="cannot stand inside another"):
            segments.checked([written], GOALS)
    with pytest.raises(Invalid, match="no goal"):
        segments.checked([["is", "event:goal", ["Never"]]], GOALS)


def test_an_address_names_it_by_its_id() -> None:
    check = segments.naming(KNOWN, GOALS)
    tree = from_url(["is:segment:3|4", "is:visit:device:Mobile"], check)
    assert to_url(tree) == ["is:segment:3|4", "is:visit:device:Mobile"]
    assert segments.names_segments(tree)
    one = from_url(["is:visit:device:Mobile", "is:segment:3"], check)
    assert segments.expanded(one, KNOWN, GOALS) == filters.parse(
        [["is", "visit:device", ["Mobile"]], ["and", [GERMAN, READER]]]
    )
    for wrong in ("is:segment:9", "is:segment:", "is:segment", "is_not:segment:3"):
        with pytest.raises(Invalid):
            from_url([wrong], check)


def test_without_segments_a_tree_stays_as_it_is() -> None:
    tree = from_url(["is:visit:device:Mobile"])
    assert segments.expanded(tree, KNOWN, GOALS) is tree


def test_all_segments_of_a_question_are_bounded_together() -> None:
    pattern = ["matches", "event:page", [f"^/{number}" for number in range(20)]]
    many = [["is", "event:page", [f"/{number}"]] for number in range(60)]
    known = [
        Segment(1, 1, "a", (pattern,)),
        Segment(2, 1, "b", (pattern,)),
        *(Segment(n, 1, f"{n}", tuple(many)) for n in (3, 4)),
    ]
    for ids in ([1, 2], [3, 4]):
        body = {"metrics": ["visitors"], "date_range": "7d", "filters": [["is", "segment", ids]]}
        with pytest.raises(Invalid, match="more than"):
            question.parse(body, GOALS, known)
        body["filters"] = [["is", "segment", ids[:1] * 500]]
        assert question.parse(body, GOALS, known)
