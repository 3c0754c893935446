"""The filter form: values with their visitors, and what it makes of ticks and text; every step without a script."""

import re
from html import unescape
from urllib.parse import urlencode

import pytest
from httpx2 import Response

from tests.web.administration import Browser, words
from tests.web.dashboards import SITE, chips, figures, link

SWAP = {"HX-Request": "true"}


def offered(answer: Response) -> list[tuple[str, str, bool]]:
    """Values: what the form would send, visitors, whether it is ticked."""
    found = re.findall(
        r'name="value" value="([^"]*)"( checked)?>.*?<span class="num muted">([^<]*)<', answer.text, re.DOTALL
    )
    return [(unescape(value), count, bool(checked)) for value, checked, count in found]


def hidden(answer: Response) -> list[tuple[str, str]]:
    form = answer.text.partition('<form class="filter-form"')[2].partition("</form>")[0]
    return [(n, unescape(v)) for n, v in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)]


async def applied(reader: Browser, page: Response, **fields: str | list[str]) -> Response:
    """The dashboard that the form leads to when it is filled in so."""
    action = unescape(re.search(r'<form class="filter-form" method="get" action="([^"]*)"', page.text)[1])  # type: ignore[index]
    pairs = hidden(page) + [
        (name, each) for name, value in fields.items() for each in ([value] if isinstance(value, str) else value)
    ]
    answer = await reader.get(f"{action}?{urlencode(pairs)}")
    assert answer.status_code == 303, answer.text
    return await reader.get(answer.headers["location"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [("/", "3"), ("/docs", "2"), ("/pricing", "2"), ("/blog", "1")]),
        ("dimension=visit:source", [("Google", "3"), ("Direct / None", "2"), ("newsletter", "1")]),
        ("dimension=visit:country&text=fra", [("FR", "3")]),
        ("dimension=visit:language&text=german", [("de-DE", "1")]),
        ("dimension=event:page&text=DOC", [("/docs", "2")]),
        ("dimension=event:page&text=DOC&period=day", []),
        # Under the other filters that are in force.
        ("dimension=event:page&f=is:visit:country:FR", [("/docs", "2"), ("/", "1"), ("/pricing", "1")]),
    ],
)
async def test_values_are_offered_with_their_visitors(
    reader: Browser, query: str, expected: list[tuple[str, str]]
) -> None:
    for path, headers in ((f"{SITE}/filter", {}), (f"{SITE}/filter/values", SWAP)):
        found = offered(await reader.get(f"{path}?{query}", headers=headers))
        assert [(value, count) for value, count, _ in found] == expected


async def test_ticks_survive_the_search_for_more(reader: Browser) -> None:
    answer = await reader.get(f"{SITE}/filter/values?dimension=visit:source&text=goo&value=newsletter", headers=SWAP)
    assert offered(answer) == [("newsletter", "1", True), ("Google", "3", False)]
    assert "<form" not in answer.text


@pytest.mark.parametrize(
    ("fields", "chip", "visitors"),
    [
        ({"dimension": "visit:country", "op": "is", "value": ["DE", "US"]}, "Country is Germany or United States", "2"),
        ({"dimension": "visit:country", "op": "is_not", "value": "FR"}, "Country is not France", "2"),
        ({"dimension": "visit:source", "op": "is", "value": "Direct / None"}, "Source is Direct / None", "2"),
        # A text alone: the only value that it finds, the one that it is, or all that contain it.
        ({"dimension": "visit:country", "op": "is", "text": "germ"}, "Country is Germany", "1"),
        ({"dimension": "event:page", "op": "is", "text": "pric"}, "Page is /pricing", "2"),
        ({"dimension": "event:page", "op": "is", "text": "/"}, "Page is /", "3"),
        ({"dimension": "event:page", "op": "is", "text": "O"}, "Page contains O", "3"),
        ({"dimension": "event:page", "op": "is_not", "text": "o"}, "Page does not contain o", "4"),
        ({"dimension": "visit:country", "op": "is", "text": "an"}, "Country is France or Germany", "4"),
        ({"dimension": "event:page", "op": "is", "text": "/nowhere"}, "Page is /nowhere", "0"),
        ({"dimension": "event:page", "op": "contains", "text": "DOC"}, "Page contains DOC", "2"),
        ({"dimension": "event:page", "op": "contains", "value": ["doc", "blog"]}, "Page contains doc or blog", "3"),
        ({"dimension": "event:page", "op": "contains_not", "text": "doc"}, "Page does not contain doc", "4"),
        # Parts of a name are looked for in names, whatever the operator was left at.
        ({"dimension": "visit:country", "op": "contains", "text": "an"}, "Country is France or Germany", "4"),
        ({"dimension": "visit:language", "op": "contains_not", "text": "french"}, "Language is not French", "2"),
        ({"dimension": "event:name", "op": "is", "value": "Signup"}, "Event is Signup", "1"),
        ({"dimension": "event:page", "op": "matches", "text": "^/[bp]"}, "Page matches ^/[bp]", "2"),
        ({"dimension": "event:page", "op": "matches_not", "text": "^/$"}, "Page does not match ^/$", "4"),
        ({"dimension": "event:name", "op": "has_done", "value": "Signup"}, "Has done: Event is Signup", "1"),
        ({"dimension": "event:name", "op": "has_not_done", "text": "sign"}, "Has not done: Event is Signup", "4"),
        ({"dimension": "event:page", "op": "has_done", "value": "/docs"}, "Page is /docs", "2"),  # was of events
    ],
)  # fmt: skip
async def test_what_is_filled_in_becomes_a_filter(
    reader: Browser, fields: dict[str, str | list[str]], chip: str, visitors: str
) -> None:
    page = await reader.get(f"{SITE}/filter")
    dashboard = await applied(reader, page, **fields)
    assert chips(dashboard) == [chip]
    assert figures(dashboard)["Visitors"] == visitors


async def test_a_pattern_finds_what_it_matches(reader: Browser) -> None:
    answer = await reader.get(f"{SITE}/filter/values?dimension=event:page&op=matches&text=^/[bp]", headers=SWAP)
    assert [value for value, _, _ in offered(answer)] == ["/pricing", "/blog"]
    wrong = await reader.get(f"{SITE}/filter/values?dimension=event:page&op=matches&text=^/[bp", headers=SWAP)
    assert wrong.status_code == 200
    assert '<div id="filter-error" role="alert"><p class="error">' in wrong.text
    assert "not a regular expression" in words(wrong)


@pytest.mark.parametrize("back", ["", "&back=funnels%3F"])
async def test_what_is_wrong_is_said_where_it_was_typed(reader: Browser, back: str) -> None:
    query = f"dimension=event:page&op=matches&text=(&period=7d&f=is:visit:country:DE{back}"
    page = await reader.get(f"{SITE}/filter/apply?{query}")
    assert page.status_code == 400
    assert 'name="text" value="("' in page.text
    assert 'aria-describedby="filter-error" aria-invalid="true"' in page.text
    assert 'value="matches" checked' in page.text
    dialog = await reader.get(f"{SITE}/filter/apply?{query}", headers=SWAP)
    assert (dialog.status_code, dialog.headers["hx-retarget"]) == (200, "#dialog")
    assert '"(": not a regular expression' in unescape(words(dialog))
    assert "<html" not in dialog.text
    ticked = await reader.get(f"{SITE}/filter/apply?dimension=event:page&op=matches&value=/docs")
    assert "Type a regular expression." in words(ticked)
    changed = await applied(reader, page, dimension="event:page", op="matches", text="d")
    assert "Page matches d" in chips(changed) or back


@pytest.mark.parametrize("done", ["has_done", "has_not_done"])
async def test_what_has_been_done_can_be_changed(reader: Browser, done: str) -> None:
    dashboard = await reader.get(SITE, params={"f": f'json:["{done}",["is","event:name",["Signup"]]]'})
    page = await reader.get(link(dashboard, "Event is Signup"))
    assert f'value="{done}" checked' in page.text
    assert ("Signup", "1", True) in offered(page)
    assert chips(await applied(reader, page, dimension="event:name", op="is", value="Signup")) == ["Event is Signup"]
    odd = await reader.get(SITE, params={"f": f'json:["{done}",["is","visit:country",["DE"]]]'})
    assert '<span class="chip"><span title=' in odd.text


async def test_the_rest_of_the_state_is_kept(reader: Browser) -> None:
    state = "period=7d&f=is:visit:country:FR&metric=visits&sources=visit:channel"
    page = await reader.get(f"{SITE}/filter?{state}")
    dashboard = await applied(reader, page, dimension="event:page", op="is", value="/docs")
    assert str(dashboard.url).partition("?")[2] == (
        "period=7d&f=is:visit:country:FR&f=is:event:page:/docs&metric=visits&sources=visit:channel"
    )
    assert link(page, "Cancel") == f"{SITE}?{state}"


async def test_a_chip_opens_its_filter_and_changes_it_in_place(reader: Browser) -> None:
    dashboard = await reader.get(f"{SITE}?f=is:visit:country:DE&f=contains~:event:page:blog")
    page = await reader.get(link(dashboard, "Country is Germany"))
    # The filter that is changed does not narrow its own values; the other one does.
    assert offered(page) == [("DE", "1", True)]
    assert chips(await applied(reader, page, dimension="visit:country", op="is", value=["DE", "FR"])) == [
        "Country is Germany or France",
        "Page contains blog",
    ]
    other = await reader.get(link(dashboard, "Page contains blog"))
    assert 'name="text" value="blog"' in other.text
    assert 'value="contains" checked' in other.text
    assert chips(await applied(reader, other, dimension="event:page", op="contains", text="docs")) == [
        "Country is Germany",
        "Page contains docs",
    ]


async def test_a_filter_without_a_value_goes(reader: Browser) -> None:
    dashboard = await reader.get(f"{SITE}?f=is:visit:country:DE&f=is:event:page:/")
    page = await reader.get(link(dashboard, "Country is Germany"))
    assert chips(await applied(reader, page, dimension="visit:country", op="is")) == ["Page is /"]
    empty = await reader.get(f"{SITE}/filter")
    assert chips(await applied(reader, empty, dimension="visit:country", op="is", text="  ")) == []


async def test_the_same_filter_twice_is_one(reader: Browser) -> None:
    page = await reader.get(f"{SITE}/filter?f=is:visit:country:DE")
    assert chips(await applied(reader, page, dimension="visit:country", op="is", value="DE")) == ["Country is Germany"]


async def test_a_negated_filter_of_the_api_can_be_changed(reader: Browser) -> None:
    dashboard = await reader.get(SITE, params={"f": 'json:["not",["is","visit:browser",["Chrome"]]]'})
    page = await reader.get(link(dashboard, "Browser is not Chrome"))
    assert 'value="is_not" checked' in page.text
    assert ("Chrome", "3", True) in offered(page)


async def test_without_a_script_the_values_are_a_page(reader: Browser) -> None:
    page = await reader.get(f"{SITE}/filter/values?dimension=visit:country&op=is_not&text=ger&period=7d")
    assert "<html" in page.text
    assert 'value="is_not" checked' in page.text
    assert 'formaction="/sites/example.com/filter/values"' in page.text


async def test_a_swap_gets_the_dialog(reader: Browser) -> None:
    answer = await reader.get(f"{SITE}/filter?period=7d", headers=SWAP)
    assert "<html" not in answer.text
    assert f'data-close-href="{SITE}?period=7d"' in answer.text
    assert answer.headers["vary"] == "HX-Request"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("filter?dimension=visit:planet", "is not a dimension to filter by"),
        ("filter?dimension=visit:country&op=resembles", "is not an operator"),
        ("filter?edit=0", "no filter at that place"),
        ("filter/apply?replaces=x&f=is:visit:country:DE", "no filter at that place"),
        ("filter/apply?dimension=visit:country&op=is&text=Atlantis", "Nothing in this period is called"),
        ("filter/apply?dimension=event:page&op=matches&text=(", "regular expression"),
        ("filter/apply?dimension=visit:country&op=is&value=Germany", "two letters"),
    ],
)
async def test_what_cannot_be_filtered_by_is_said(reader: Browser, path: str, why: str) -> None:
    answer = await reader.get(f"{SITE}/{path}")
    assert answer.status_code == 400
    assert why in words(answer)
