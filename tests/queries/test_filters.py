"""Filters as JSON and as URLs, and the view that a dashboard's URL names."""

from datetime import date
from json import dumps
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import Invalid
from appliance.queries import filters, view
from appliance.queries.comparison import Comparison
from appliance.queries.filters import AllOf, AnyOf, Filter, HasDone, Leaf, Not
from appliance.queries.period import NAMES, Dates, Named, Times
from appliance.queries.view import View

GERMANY = Leaf("is", "visit:country", ("DE",))


def test_json_and_tree() -> None:
    json = [
        ["is", "visit:country", ["DE", "FR"]],
        ["or", [["contains", "event:page", ["/a"], {"case_sensitive": False}], ["not", ["is", "visit:os", ["iOS"]]]]],
    ]
    tree = AllOf(
        (
            Leaf("is", "visit:country", ("DE", "FR")),
            AnyOf((Leaf("contains", "event:page", ("/a",), False), Not(Leaf("is", "visit:os", ("iOS",))))),
        )
    )
    assert filters.parse(json) == tree
    assert [filters.to_json(part) for part in filters.written_parts(tree)] == json


@pytest.mark.parametrize(
    ("json", "pointer"),
    [
        ("is", "#/filters"),
        ([[]], "#/filters/0"),
        ([["is"]], "#/filters/0"),
        ([["like", "event:page", ["/"]]], "#/filters/0/0"),
        ([["has_done"]], "#/filters/0"),
        ([["has_done", ["is", "event:page", []]]], "#/filters/0/1/2"),
        ([["has_done", ["not", ["has_not_done", ["is", "event:page", ["/"]]]]]], "#/filters/0/1"),
        ([["is", "event:goal", ["Signup"]]], "#/filters/0/1"),
        ([["is", "event:props:", ["pro"]]], "#/filters/0/1"),
        ([["is", "event:props:" + 301 * "x", ["pro"]]], "#/filters/0/1"),
        ([["is", "segment", [1]]], "#/filters/0/1"),
        ([["is", "time:day", ["2026-01-01"]]], "#/filters/0/1"),
        ([["is", 3, ["x"]]], "#/filters/0/1"),
        ([["is", "event:page", "/"]], "#/filters/0/2"),
        ([["is", "event:page", []]], "#/filters/0/2"),
        ([["is", "event:page", ["/", 5]]], "#/filters/0/2/1"),
        ([["is", "event:page", ["/"], {"case": 1}]], "#/filters/0/3"),
        ([["is", "event:page", ["/"], {"case_sensitive": 1}]], "#/filters/0/3/case_sensitive"),
        ([["is", "visit:country", ["DE", "Germany"]]], "#/filters/0/2/1"),
        ([["matches", "event:page", ["/", "("]]], "#/filters/0/2/1"),
        ([["not", ["or", [["is", "visit:os", ["x"]], ["is"]]]]], "#/filters/0/1/1/1"),
        ([["and", []]], "#/filters/0/1"),
        ([["not"]], "#/filters/0"),
    ],
)
def test_a_fault_is_pointed_at(json: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as raised:
        filters.parse(json)
    assert (raised.value.pointer, raised.value.status) == (pointer, 400)


def test_trees_are_bounded() -> None:
    deep: Any = ["is", "visit:os", ["x"]]
    for _ in range(20):
        deep = ["not", deep]
    for tree in ([deep], [["is", "visit:os", ["x"]]] * 101, [["is", "visit:os", ["x"] * 1001]]):
        with pytest.raises(Invalid):
            filters.parse(tree)


LETTERS = r"(\pL{50}){4}"


@pytest.mark.parametrize(
    ("json", "pointer"),
    [
        ([["matches", "event:page", ["/", LETTERS]]], "#/filters/0/2/1"),
        ([["matches_not", "event:page", [r"((\pL|\pN){30}){10}"]]], "#/filters/0/2/0"),
        ([["matches", "event:page", ["x" * 1001]]], "#/filters/0/2/0"),
        ([["matches", "event:page", [f"/{n}" for n in range(26)]]], "#/filters/0/2"),
        ([["matches", "event:page", ["x" * 990] * 6]], "#/filters/0/2"),
        ([["matches", "event:page", [r"\pL" * 11]]], "#/filters/0/2"),
        # In sum over the whole question, wherever they stand.
        ([["matches", "event:page", ["/"] * 13], ["not", ["matches", "visit:os", ["x"] * 13]]], "#/filters/1/1/2"),
        ([["matches", "event:page", [r"\pL"] * 6], ["matches", "event:page", [r"\PL"] * 5]], "#/filters/1/2"),
    ],
)
def test_patterns_that_would_hold_up_the_loop_are_refused(json: Any, pointer: str) -> None:
    """Compiling holds the interpreter's lock, so the loop stands still wherever it is done. Measured: 200 values like
    LETTERS took 16 s. The costliest that is let through, 10 patterns like `\\pL{13}` beside 15 like `.{1000}`, takes
    60 ms; the refusal of LETTERS 1 ms."""
    with pytest.raises(Invalid) as raised:
        filters.parse(json)
    assert (raised.value.pointer, raised.value.status) == (pointer, 400)


def test_what_is_too_much_is_refused_before_any_pattern_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(filters, "check_pattern", compiled.append)
    with pytest.raises(Invalid, match="25 patterns"):
        filters.parse([["matches", "event:page", [f"{LETTERS}{n}" for n in range(26)]]])
    with pytest.raises(Invalid, match="25 patterns"):
        filters.from_url(f"matches:event:page:{'|'.join(f'/{n}/{m}' for m in range(2))}" for n in range(13))
    assert LETTERS not in "".join(compiled)
    assert len(compiled) == 24


def test_a_pattern_that_is_refused_is_named() -> None:
    with pytest.raises(Invalid, match=r'^"\(": not a regular expression: missing'):
        filters.from_url(["matches:event:page:("])
    with pytest.raises(Invalid, match="too large"):
        filters.from_url(["json:" + dumps(["matches", "event:page", [LETTERS]])])


@pytest.mark.parametrize(
    "pattern",
    [
        r"^/blog/(\d{4})/[^/]+$",
        r"(?i)\b(größe|straße|наука)\b",
        r"[\p{L}\p{N}_-]+\.html$",
        "|".join(f"/page-{n}" for n in range(90)),
        r"/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "/漢" * 500,
    ],
)
def test_usual_patterns_are_taken(pattern: str) -> None:
    assert filters.parse([["matches", "event:page", [pattern]]]).parts


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (Leaf("is", "visit:country", ("DE", "FR")), "is:visit:country:DE|FR"),
        (Leaf("contains", "event:page", ("/blog",), False), "contains~:event:page:/blog"),
        (Leaf("is", "event:page", ("/a|b", "c:\\d")), "is:event:page:/a\\|b|c:\\\\d"),
        (Leaf("is_not", "visit:source", ("Direct / None",)), "is_not:visit:source:Direct / None"),
        (Leaf("is", "event:page", ("",)), "is:event:page:"),
        (Leaf("is", "event:props:plan", ("pro", "a:b")), "is:event:props:plan:pro|a:b"),
        (Leaf("is", "event:props:a:b\\", ("c|d",)), "is:event:props:a\\:b\\\\:c\\|d"),
        (HasDone(Leaf("is", "event:name", ("x",)), False), 'json:["has_not_done",["is","event:name",["x"]]]'),
    ],
)
def test_how_a_filter_stands_in_a_url(leaf: Filter, text: str) -> None:
    assert filters.to_url(leaf) == [text]
    assert filters.from_url([text]) == AllOf((leaf,))


@pytest.mark.parametrize(
    "text", ["", "is", "is:visit", "like:visit:os:x", "is:visit:nothing:x", "is:event:props:x", "json:{", "json:[]"]
)
def test_a_url_that_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        filters.from_url([text])


texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.text("|\\:~é/%&=+ ", max_size=6)
leaf_trees = st.builds(
    Leaf,
    st.sampled_from(["is", "is_not", "contains", "contains_not"]),
    st.sampled_from(["event:page", "visit:os", "visit:country_name", "event:name"])
    | (st.text("ab:|\\ä ", min_size=1, max_size=5).map("event:props:".__add__)),
    st.lists(texts, min_size=1, max_size=4).map(tuple),
    st.booleans(),
)
trees = st.recursive(
    leaf_trees,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AllOf(tuple(parts)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts)))
        | inner.map(Not)
        | st.builds(HasDone, leaf_trees, st.booleans())
    ),
    max_leaves=6,
)
days = st.dates(date(1970, 1, 2), date(2199, 12, 31))
periods = (
    st.builds(Named, st.sampled_from(NAMES), st.none() | days)
    | st.tuples(days, days).map(lambda pair: Dates(min(pair), max(pair)))
    | st.tuples(st.integers(10**14, 10**15), st.integers(1, 10**14)).map(lambda p: Times(p[0], p[0] + p[1]))
)
comparisons = (
    st.none()
    | st.builds(Comparison, st.sampled_from(["previous_period", "year_over_year"]), st.booleans())
    | st.builds(lambda match, day: Comparison("custom", match, Dates(day, day)), st.booleans(), days)
)
views = st.builds(
    View,
    periods,
    st.lists(trees, max_size=3).map(lambda parts: AllOf(tuple(parts))),
    comparisons,
    st.sampled_from([None, "minute", "hour", "day", "week", "month"]),
)


@given(st.lists(trees, max_size=4).map(lambda parts: AllOf(tuple(parts))))
def test_every_filter_comes_back_from_json_and_from_a_url(tree: AllOf) -> None:
    assert filters.parse([filters.to_json(part) for part in tree.parts]) == tree
    assert filters.from_url(filters.to_url(tree)) == tree


@given(views)
def test_every_view_comes_back_from_its_url(state: View) -> None:
    assert view.read(parse_qsl(urlencode(view.write(state)), keep_blank_values=True)) == state


def test_the_default_view_is_an_empty_url() -> None:
    assert view.write(View()) == []
    assert view.read([("tab", "pages"), ("period", "")]) == View()


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ([("period", "29d")], "period"),
        ([("period", "day"), ("date", "yesterday")], "period"),
        ([("from", "2026-02-01"), ("to", "2026-01-01")], "period"),
        ([("f", "is:visit:os")], "filters"),
        ([("compare", "something")], "compare"),
        ([("compare", "custom")], "compare"),
        ([("interval", "year")], "interval"),
    ],
)
def test_a_url_that_names_no_view_says_which_field_is_wrong(parameters: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        view.read(parameters)
    assert raised.value.field == field
