"""Goals as filters: which paths a pattern matches, and what is left of a filter without them."""

import pytest

from appliance.errors import Invalid
from appliance.queries import view
from appliance.queries.filters import AllOf, AnyOf, Filter, HasDone, Leaf, Not, conjuncts, from_url, to_url
from appliance.queries.goals import as_filter, checking, chosen, expanded, grouped, without
from appliance.queries.period import Named, resolve
from appliance.queries.question import COMPARISONS_MAX, Scope
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
SIGNED_UP = Leaf("is", "event:goal", ("Sign-up",))


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
    assert without(AllOf((GERMAN, named, AnyOf((GERMAN, named)), Not(named), done))) == AllOf((GERMAN, done))


@pytest.mark.parametrize(
    "both",
    [
        AllOf((AllOf((SIGNED_UP, GERMAN)),)),
        AllOf((SIGNED_UP, AllOf((AllOf((GERMAN,)),)))),
        AnyOf((AllOf((SIGNED_UP, GERMAN)),)),
        Not(Not(AllOf((SIGNED_UP, GERMAN)))),
        Not(AnyOf((Not(SIGNED_UP), Not(GERMAN)))),
        Not(AllOf((AnyOf((Not(SIGNED_UP), Not(GERMAN))),))),
    ],
)
def test_an_and_is_one_however_it_is_written(both: Filter) -> None:
    assert without(both) == AllOf((GERMAN,))
    assert conjuncts(both) == [SIGNED_UP, GERMAN]
    assert grouped(both, [SALE, SIGNUP]) == (SIGNUP,)


def test_one_or_the_other_is_left_out_as_a_whole() -> None:
    assert without(AllOf((AnyOf((SIGNED_UP, GERMAN)),))) == AllOf()
    assert without(AllOf((Not(AllOf((SIGNED_UP, GERMAN))),))) == AllOf()


def test_results_are_grouped_by_the_goals_that_all_filters_allow() -> None:
    sale = Leaf("is", "event:goal", ("Sale",))
    assert grouped(AllOf((GERMAN,)), [SALE, SIGNUP]) == (SALE, SIGNUP)
    assert grouped(AllOf((sale,)), [SALE, SIGNUP]) == (SALE,)
    assert grouped(AllOf((sale, SIGNED_UP)), [SALE, SIGNUP]) == ()
    assert grouped(AllOf((AllOf((sale,)), GERMAN)), [SALE, SIGNUP]) == (SALE,)
    assert grouped(AllOf((AnyOf((sale, SIGNED_UP)),)), [SALE, SIGNUP]) == (SALE, SIGNUP)
    assert grouped(AllOf((AnyOf((sale, GERMAN)), Not(sale))), [SALE, SIGNUP]) == (SALE, SIGNUP)
    assert chosen(Leaf("contains", "event:goal", ("SIGN",), False), [SALE, SIGNUP]) == [SIGNUP]


def test_an_address_names_the_goals_that_it_is_read_with() -> None:
    check = checking([SALE, SIGNUP])
    tree = AllOf((Leaf("is", "event:goal", ("Sale", "Sign-up")), HasDone(Leaf("contains", "event:goal", ("S",)))))
    assert from_url(to_url(tree), check) == tree
    assert view.read([("f", "is:event:goal:Sale")], check).filter == AllOf((Leaf("is", "event:goal", ("Sale",)),))
    for refused in ("is:event:goal:Gone", "is_not:event:goal:Sale", 'json:["has_done",["is","event:goal",["Gone"]]]'):
        with pytest.raises(Invalid):
            from_url([refused], check)
    with pytest.raises(Invalid):
        from_url(["is:event:goal:Sale"])  # of a project whose goals nobody gave


def test_a_scope_knows_what_reaches_its_goals_and_whom_they_are_compared_with() -> None:
    there = resolve(Named("day"), "UTC", 1_760_000_000_000_000, None)
    named = Leaf("is", "event:goal", ("Sale",))
    scope = Scope.of(1, there, AllOf((GERMAN, named)), [SALE, SIGNUP])
    assert scope == Scope(1, there, AllOf((GERMAN, AnyOf((as_filter(SALE),)))), (SALE,), AllOf((GERMAN,)))
    assert Scope.of(1, there, AllOf((GERMAN,)), [SALE]) == Scope(1, there, AllOf((GERMAN,)), (SALE,))
    many = [Goal(place, 1, f"Sale {place}", "event", "Buy") for place in range(COMPARISONS_MAX // 10 + 1)]
    with pytest.raises(Invalid):
        Scope.of(1, there, AllOf((Leaf("contains", "event:goal", ("Sale",)),) * 10), many)
