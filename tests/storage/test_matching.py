"""Texts compared as filters ask."""

import pytest

from appliance.errors import Invalid
from appliance.storage.evaluation import Matching
from appliance.storage.matching import matcher


@pytest.mark.parametrize(
    ("matching", "values", "case_sensitive", "found", "other"),
    [
        ("is", ("a", "ab"), True, "ab", "abc"),
        ("is", ("a", "ab"), False, "AB", "abc"),
        ("is", ("a|b",), False, "A|B", "a"),
        ("is", ("",), False, "", "x"),
        ("is", ("a\nb", "\0é"), False, "\0É", "a"),
        ("contains", ("b",), True, "abc", "ABC"),
        ("contains", ("x.y", "b|"), True, "ab|c", "xzy"),
        ("contains", ("x.y", "b|"), False, "AB|C", "XZY"),
        ("contains", ("Ω",), False, "aωb", "o"),
        ("matches", ("^a", "b$"), True, "xb", "bx"),
        ("matches", ("^a", "b$"), False, "XB", "BX"),
    ],
)
def test_texts_are_compared(
    matching: Matching, values: tuple[str, ...], case_sensitive: bool, found: str, other: str
) -> None:
    test = matcher(matching, values, case_sensitive=case_sensitive)
    assert test(found)
    assert not test(other)


@pytest.mark.parametrize("matching", ["is", "contains", "matches"])
@pytest.mark.parametrize("case_sensitive", [True, False])
def test_without_values_nothing_is_found(matching: Matching, case_sensitive: bool) -> None:
    assert not matcher(matching, (), case_sensitive=case_sensitive)("")


def test_long_lists_of_texts_are_one_search() -> None:
    """A request of 256 KB: 0.2 s to compile. One after the other, a thousand texts were looked for in 2 ms."""
    values = tuple(f"/{n:05}/{'ж' * 20}" for n in range(5_000))
    for case_sensitive in (True, False):
        test = matcher("contains", values, case_sensitive=case_sensitive)
        assert test(f"x{values[-1]}x")
        assert not test("/" * 2_000)


def test_a_long_pattern_of_ours_is_taken() -> None:
    """A goal's page of 1,000 characters is longer as a pattern, and none of whoever asks about the goal."""
    pattern = r"\A/" + r"\." * 998 + r"[^/]*\z"
    assert matcher("matches", (pattern,))("/" + "." * 998 + "x")
    with pytest.raises(Invalid):
        matcher("matches", ("(",))
