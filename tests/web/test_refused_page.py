"""What was filtered or refused: listed, searched, let in."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from appliance import clock
from appliance.errors import JournalFull
from appliance.ingest.refusals import Refusal, Wanted
from appliance.storage import audit, exclusions
from tests.web.administration import words

PAGE = "/sites/example.com/settings/refused"


@pytest.fixture
async def site(administration):
    return (await administration.project()).project


def add(administration, project, reason, *, verdict="dropped", event=b"", at=None, **fields):
    values = {"message": "", "name": "pageview", "page": "/x", "dialect": "native", **fields}
    refusal = Refusal(at or clock.now(), verdict, reason, **values)
    administration.refusals.add(project.id, refusal, event)


def hidden(answer):
    """The hidden fields of the form that lets in, by name."""
    form = answer.text.partition("/let-in")[2].partition("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)}


def rows(answer):
    body = answer.text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>")[:-1]]


async def test_nothing_was_refused(administration, site):
    browser = await administration.signed_in("viewer")
    page = words(await browser.get(PAGE))
    assert "Nothing was refused" in page
    assert "Let in" not in page


async def test_each_entry_says_why_and_by_which_rule(administration, site):
    rule = await exclusions.create(administration.database, site, "path", "/admin/**", actor="a", at=clock.now())
    add(administration, site, "blocked_path", rule=rule.id, page="/admin/users", event=b"1")
    add(administration, site, "bot", event=b"2")
    add(administration, site, "too_deep", verdict="rejected", message="properties: nested <deep>", name="Buy")
    browser = await administration.signed_in("admin")
    page = await browser.get(PAGE)
    assert rows(page) == [
        "just now Nested too deep properties: nested &lt;deep&gt; Buy /x native",
        "just now Bot pageview /x native",
        "just now Blocked path /admin/** pageview /admin/users native",
    ]
    assert rows(await browser.get(f"{PAGE}?rule={rule.id}")) == [rows(page)[2]]
    assert "Rule /admin/**" in words(await browser.get(f"{PAGE}?rule={rule.id}"))
    assert "Rule 4711" in words(await browser.get(f"{PAGE}?rule=4711"))
    viewer = await administration.signed_in("viewer")
    for query in ("", f"?rule={rule.id}"):
        seen = await viewer.get(PAGE + query)
        assert "/admin/users" in words(seen)
        assert "/admin/**" not in seen.text, "a rule may be somebody's address"
        assert "let-in" not in seen.text


async def test_search_by_reason_and_text(administration, site):
    for reason, page in (("bot", "/Shop/cart"), ("bot", "/blog"), ("blocked_path", "/shop")):
        add(administration, site, reason, page=page)
    browser = await administration.signed_in()
    assert len(rows(await browser.get(f"{PAGE}?search=shop"))) == 2
    page = await browser.get(f"{PAGE}?reason=bot&search=SHOP")
    assert ["/Shop/cart" in row for row in rows(page)] == [True]
    assert 'name="search" value="SHOP"' in page.text
    assert '<input type="hidden" name="reason" value="bot">' in page.text
    assert "Nothing found" in words(await browser.get(f"{PAGE}?search=nowhere"))
    assert "Nothing found" in words(await browser.get(f"{PAGE}?reason=%3Cscript%3E"))


async def test_long_lists_have_pages(administration, site):
    for number in range(250):
        add(administration, site, "bot", page=f"/{number}")
    browser = await administration.signed_in()
    first = await browser.get(f"{PAGE}?reason=bot")
    assert "1–100 of 250" in words(first)
    (following,) = [href for href in re.findall(r'href="([^"]*)"', first.text) if "page=2" in href]
    second = await browser.get(unescape(following))
    assert "101–200 of 250" in words(second)
    assert "/149 " in rows(second)[0]
    third = await browser.get(f"{PAGE}?reason=bot&page=3")
    assert (len(rows(third)), "page=4" in third.text) == (50, False)


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=-1", "rule=x", "rule=" + "9" * 40, "page=٣", "newest=-5"])
async def test_addresses_of_ones_own_making(administration, site, query):
    add(administration, site, "bot")
    browser = await administration.signed_in()
    assert len(rows(await browser.get(f"{PAGE}?{query}"))) == 1
    assert (await browser.get(f"{PAGE}?page={'9' * 18}")).status_code == 200


async def test_letting_in_takes_what_was_shown_and_says_how_many(administration, site):
    for number in range(3):
        add(administration, site, "bot", event=b"\x01", page=f"/{number}")
    add(administration, site, "data_center", event=b"\x02")
    browser = await administration.signed_in("admin")
    shown = await browser.get(f"{PAGE}?reason=bot")
    assert "Let in 3 events" in words(shown)
    form = hidden(shown)
    assert form["reason"] == "bot"
    add(administration, site, "bot", event=b"\x03", page="/since")
    answer = await browser.post(f"{PAGE}/let-in", **form)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"reason": ["bot"]}
    page = await browser.get(answer.headers["location"])
    assert "Let in: 3. They show up where they belong in time." in words(page)
    assert [" Let in " in row for row in rows(page)] == [False, True, True, True]
    assert "Let in 1 event" in words(page)
    assert [msgspec.msgpack.decode(record) for record in administration.journaled] == [[1, 1, 1]]
    (entry, *_) = await audit.recent(administration.database, limit=1)
    assert (entry.actor, entry.detail) == ("admin@example.com", "3 filtered as bot")
    again = await browser.post(f"{PAGE}/let-in", **form)
    assert "There was nothing left to let in." in words(await browser.get(again.headers["location"]))
    assert len(administration.journaled) == 1


async def test_what_cannot_be_let_in_any_more_is_said(administration, site):
    add(administration, site, "bot", event=b"\x01")
    add(administration, site, "bot", event=b"\x02")
    (newest, oldest) = administration.refusals.every(site.id, clock.now())
    administration.refusals._forget_event(oldest.number)
    browser = await administration.signed_in()
    page = await browser.get(PAGE)
    assert "1 of these can be let in." in words(page)
    assert "1 cannot: it is not kept any more." in words(page)
    assert ["not kept any more" in row for row in rows(page)] == [False, True]
    administration.refusals._forget_event(newest.number)
    page = await browser.get(PAGE)
    assert "2 cannot: they are not kept any more." in words(page)
    assert "Let in 0" not in words(page)


async def test_of_signals_and_wrong_events_nothing_is_offered(administration, site):
    add(administration, site, "privacy_signal")
    add(administration, site, "missing", verdict="rejected")
    browser = await administration.signed_in()
    assert "let-in" not in (await browser.get(PAGE)).text


async def test_a_full_journal_is_said_and_nothing_is_lost(administration, site):
    add(administration, site, "bot", event=b"\x01")
    browser = await administration.signed_in()
    form = hidden(await browser.get(PAGE))

    async def full(*_):
        raise JournalFull

    kept = administration.app.state.let_in
    administration.app.state.let_in = full
    assert (await browser.post(f"{PAGE}/let-in", **form)).status_code == 503
    administration.app.state.let_in = kept
    assert (await browser.post(f"{PAGE}/let-in", **form)).status_code == 303
    assert next(administration.refusals.every(site.id, clock.now(), Wanted())).let_in


async def test_only_admins_let_in(administration, site):
    add(administration, site, "bot", event=b"\x01")
    viewer = await administration.signed_in("viewer")
    assert (await viewer.post(f"{PAGE}/let-in")).status_code == 403
    owner = await administration.signed_in()
    assert (await owner.post(f"{PAGE}/let-in", {"sec-fetch-site": "cross-site"})).status_code == 403
    assert (await administration.client().post(f"{PAGE}/let-in")).status_code in (303, 401)
    assert administration.journaled == []
