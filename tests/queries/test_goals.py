"""Goals as filters: which paths a pattern matches, and what is left of a filter without them."""

import pytest

from appliance.queries.filters import AllOf, AnyOf, HasDone, Leaf, Not
from appliance.queries.goals import as_filter, chosen, expanded, grouped, without
from appliance.storage.goals import Goal
from appliance.storage.matching import matcher


def page(pattern: str) -> Goal:
    return Goal(1, 1, f"Visit {pattern}", "page", pattern)


@pytest.mark.parametrize(
    ("pattern", "path", "reached"),
    [
        ("/blog", "/blog", True),
        ("/blog", "/blog/", False),
        ("/blog", "/Blog", False),
        ("/blog/*", "/blog/a", True),
        ("/blog/*", "/blog/", True),
        ("/blog/*", "/blog/a/b", False),
        ("/blog/*/end", "/blog/a/end", True),
        ("/blog/*/end", "/blog/a/b/end", False),
        ("/blog/**", "/blog/a/b", True),
        ("/blog/**", "/blog/a\nb", True),
        ("/blog**", "/blog", True),
        ("/**/end", "/a/b/end", True),
        ("/**/end", "/a/b/end/", False),
        ("/a.b*", "/a.bc", True),
        ("/a.b*", "/axbc", False),
        ("/a+(b)[c]{d}^$|\\?*", "/a+(b)[c]{d}^$|\\?x", True),
        ("/ä*", "/äö", True),
    ],
)
def test_patterns_of_pages(pattern: str, path: str, reached: bool) -> None:
    tree = as_filter(page(pattern))
    assert isinstance(tree, AllOf)
    kind, where = tree.parts
    assert kind == Leaf("is", "event:name", ("pageview",))
    assert isinstance(where, Leaf)
    matching = "is" if where.operator == "is" else "matches"
    assert matcher(matching, where.values)(path) is reached


SIGNUP, SALE = Goal(1, 1, "Sign-up", "event", "Signup"), Goal(2, 1, "Sale", "event", "Buy", "plan", "pro", "EUR")
GERMAN = Leaf("is", "visit:country", ("DE",))


def test_goals_in_a_filter_become_what_reaches_them() -> None:
    named = Leaf("is", "event:goal", ("Sign-up", "Sale"))
    either = AnyOf((as_filter(SALE), as_filter(SIGNUP)))
    assert as_filter(SALE) == AllOf(
        (
            Leaf("is", "event:name", ("Buy",)),
            Leaf("is", "event:props:plan", ("pro",)),
            Leaf("is", "event:currency", ("EUR",)),
        )
    )
    tree = AllOf((GERMAN, Not(named), HasDone(named, False)))
    assert expanded(tree, [SALE, SIGNUP]) == AllOf((GERMAN, Not(either), HasDone(either, False)))


def test_a_base_is_without_goals_but_with_what_visitors_have_done() -> None:
    named = Leaf("contains", "event:goal", ("S",))
    done = HasDone(named)
    assert without(AllOf((GERMAN, named, AnyOf((GERMAN, named)), done))) == AllOf((GERMAN, done))


def test_results_are_grouped_by_the_goals_that_all_filters_allow() -> None:
    sale = Leaf("is", "event:goal", ("Sale",))
    assert grouped(AllOf((GERMAN,)), [SALE, SIGNUP]) == (SALE, SIGNUP)
    assert grouped(AllOf((sale,)), [SALE, SIGNUP]) == (SALE,)
    assert grouped(AllOf((sale, Leaf("is", "event:goal", ("Sign-up",)))), [SALE, SIGNUP]) == ()
    assert chosen(Leaf("contains", "event:goal", ("SIGN",), False), [SALE, SIGNUP]) == [SIGNUP]
