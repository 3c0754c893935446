"""The pages of a site's limits, sampling and sources: shown, changed, refused with the field; for admins."""

import re
from html import unescape
from typing import Any

import pytest
from httpx2 import Response

from appliance.clock import DAY
from appliance.ingest.refusals import Refusal
from appliance.model import Project, ProjectSettings, Sampling, SamplingRule, SourceSettings
from appliance.storage import audit, projects, sources
from appliance.web import strings_limits
from appliance.web.audit_words import sentence
from appliance.web.strings import TEXTS
from appliance.web.strings_admin import ADMIN
from tests.web.administration import Browser, words
from tests.web.dashboards import NOW, Dashboards

SITE = "/sites/limited.example"
LIMITS, SAMPLING, SOURCES = (f"{SITE}/settings/{page}" for page in ("limits", "sampling", "sources"))
EVENTS = 10  # of the site's visits, all in March
NO_RULES = {"pattern": ["", ""], "rule_strategy": ["random", "random"], "rule_percent": ["", ""]}
AS_IT_IS = {"strategy": "none", "percent": "", "period": "600", **NO_RULES}


@pytest.fixture(scope="module")
async def site(dashboards: Dashboards) -> Browser:
    await dashboards.site(domain="limited.example", settings=ProjectSettings(deduplication_days=30, hash_routing=True))
    return await dashboards.owner()


@pytest.fixture(autouse=True)
async def as_before(dashboards: Dashboards, site: Browser) -> None:
    await change(dashboards)


async def kept(dashboards: Dashboards) -> Project:
    project = await projects.by_domain(dashboards.database, "limited.example")
    assert project is not None
    return project


async def change(dashboards: Dashboards, **settings: Any) -> None:
    wanted = ProjectSettings(deduplication_days=30, hash_routing=True, **settings)
    project = await kept(dashboards)
    await projects.update(dashboards.database, project, settings=wanted, actor="cli", at=NOW)


def value(answer: Response, name: str) -> list[str]:
    """What stands in the fields of a name."""
    fields = re.findall(rf'<input [^>]*name="{name}"[^>]*>', answer.text)
    return [unescape(re.findall(r' value="([^"]*)"', field)[0]) for field in fields]


def chosen(answer: Response, name: str) -> list[str]:
    """The ticked or selected values of a name."""
    ticked = re.findall(rf'<input [^>]*name="{name}" value="([^"]*)" checked', answer.text)
    lists = re.findall(rf'<select [^>]*name="{name}".*?</select>', answer.text, re.DOTALL)
    return ticked + [re.findall(r'<option value="([^"]*)" selected', each)[0] for each in lists]


# ---------------------------------------------------------------- limits


async def test_limits_are_shown_and_changed_and_nothing_else_is(dashboards: Dashboards, site: Browser) -> None:
    page = await site.get(LIMITS)
    assert (value(page, "rate_limit"), value(page, "quota_events_month")) == ([""], [""])
    assert 'placeholder="As the appliance: no limit"' in page.text
    assert f"{EVENTS} events in March 2026" in words(page)
    answer = await site.post(LIMITS, rate_limit=" 1,000 ", quota_events_month="20")
    assert answer.headers["location"] == LIMITS
    settings = (await kept(dashboards)).settings
    assert settings == ProjectSettings(rate_limit=1000, quota_events_month=20, deduplication_days=30, hash_routing=True)
    page = await site.get(LIMITS)
    assert "Saved." in words(page)
    assert (value(page, "rate_limit"), value(page, "quota_events_month")) == (["1000"], ["20"])
    assert f"{EVENTS} of 20 events in March 2026" in words(page)
    await site.post(LIMITS, rate_limit="0", quota_events_month="")
    settings = (await kept(dashboards)).settings
    assert (settings.rate_limit, settings.quota_events_month) == (0, 0)


@pytest.mark.parametrize(
    ("quota", "level", "said"),
    [
        (1000, "ok", None),
        (13, "ok", None),
        (12, "warn", "83 % of the quota is used up."),
        (10, "error", "The quota is used up: events are refused until the month is over, or the quota is raised."),
        (2, "error", "The quota is used up"),
    ],
)
async def test_how_much_of_a_quota_is_used_up(
    dashboards: Dashboards, site: Browser, quota: int, level: str, said: str | None
) -> None:
    await change(dashboards, quota_events_month=quota)
    page = await site.get(LIMITS)
    assert f'<svg class="meter {level}"' in page.text
    assert ("used up" in words(page)) is (said is not None)
    assert said is None or said in words(page).replace("\N{NO-BREAK SPACE}", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("rate_limit", "many", "Use a whole number."),
        ("rate_limit", "-1", "Use a whole number."),
        ("rate_limit", "1000001", "Use a number from 0 to 1,000,000."),
        ("quota_events_month", "1.5", "Use a whole number."),
        ("quota_events_month", "٣", "Use a whole number."),
        ("quota_events_month", "9" * 30, "Use a whole number."),
        ("quota_events_month", "1" + "0" * 13, "Use a number from 0 to 1,000,000,000,000."),
    ],
)
async def test_limits_that_cannot_be(dashboards: Dashboards, site: Browser, field: str, typed: str, said: str) -> None:
    before = await kept(dashboards)
    answer = await site.post(LIMITS, **{"rate_limit": "5", "quota_events_month": "7", field: typed})
    assert answer.status_code == 422
    assert re.search(rf'id="{field}-about">.*?<span>{re.escape(said)}</span>', answer.text, re.DOTALL)
    assert value(answer, field) == [typed]
    assert await kept(dashboards) == before


# ---------------------------------------------------------------- sampling


async def test_sampling_is_shown_and_changed(dashboards: Dashboards, site: Browser) -> None:
    page = await site.get(SAMPLING)
    assert (chosen(page, "strategy"), value(page, "percent"), value(page, "period")) == (["none"], [""], ["600"])
    assert value(page, "pattern") == ["", "", ""]
    assert '<option value="Signup">' in page.text  # what the site sends is offered
    answer = await site.post(
        SAMPLING,
        strategy="visitor",
        percent="12.5 %",
        period="60",
        pattern=["scroll", "", "video_*", "Order"],
        rule_strategy=["window", "random", "random", "none"],
        rule_percent=["1", "", "0.5", ""],
    )
    assert answer.headers["location"] == SAMPLING
    settings = (await kept(dashboards)).settings
    assert settings.sampling == Sampling("visitor", 125_000)
    assert settings.sampling_rules == (
        SamplingRule("scroll", Sampling("window", 10_000, 60)),
        SamplingRule("video_*", Sampling("random", 5_000)),
        SamplingRule("Order", Sampling()),
    )
    assert (settings.deduplication_days, settings.hash_routing) == (30, True)
    page = await site.get(SAMPLING)
    assert "Saved." in words(page)
    assert (chosen(page, "strategy"), value(page, "percent")) == (["visitor"], ["12.5"])
    assert value(page, "pattern") == ["scroll", "video_*", "Order", ""]
    assert chosen(page, "rule_strategy") == ["window", "random", "none", "random"]
    assert value(page, "rule_percent") == ["1", "0.5", "", ""]
    await site.post(SAMPLING, **AS_IT_IS)
    assert (await kept(dashboards)).settings.sampling_rules == ()


@pytest.mark.parametrize(
    ("fields", "place", "said"),
    [
        ({"strategy": "random"}, "percent-about", "Use a percentage above 0 and up to 100"),
        ({"strategy": "visitor", "percent": "0"}, "percent-about", "Use a percentage above 0 and up to 100"),
        ({"strategy": "window", "percent": "5", "period": "9"}, "period-about", "Use a number from 10 to 86,400."),
        ({"strategy": "window", "percent": "5", "period": "x"}, "period-about", "Use a number from 10 to 86,400."),
        ({"strategy": "sometimes", "percent": "5"}, "", "Choose one of none, random, visitor, window."),
        ({"pattern": ["a", "b"]}, "rule-1-about", "Use a percentage above 0 and up to 100"),
        ({"pattern": ["a", "b"], "rule_percent": ["5", "500"]}, "rule-2-about", "Use a percentage above 0"),
        ({"pattern": ["x" * 256, ""], "rule_percent": ["5", ""]}, "rule-1-about", "at most 255 characters"),
        (
            {"pattern": ["a", "b"], "rule_percent": ["5", "5"], "rule_strategy": ["random", "?"]},
            "rule-2-about",
            "Choose",
        ),
    ],
)
async def test_sampling_that_cannot_be(
    dashboards: Dashboards, site: Browser, fields: dict[str, Any], place: str, said: str
) -> None:
    before = await kept(dashboards)
    answer = await site.post(SAMPLING, **(AS_IT_IS | fields))
    assert answer.status_code == 422
    beside = answer.text.partition(f'id="{place}"')[2].partition("</p>")[0] if place else answer.text
    assert said in unescape(beside)
    for name, typed in fields.items():
        if name in ("percent", "period"):
            assert value(answer, name) == [typed]
        if name in ("pattern", "rule_percent"):
            assert value(answer, name)[: len(typed)] == typed
    assert await kept(dashboards) == before


async def test_more_rules_than_there_may_be(dashboards: Dashboards, site: Browser) -> None:
    many = {"pattern": ["a"] * 51, "rule_strategy": ["random"] * 51, "rule_percent": ["5"] * 51}
    answer = await site.post(SAMPLING, **(AS_IT_IS | many))
    assert (answer.status_code, "Use at most 50 rules." in words(answer)) == (422, True)


# ---------------------------------------------------------------- sources


@pytest.fixture
async def listed(dashboards: Dashboards, site: Browser) -> dict[str, str]:
    """Two sources of the site: their pages by name."""
    project = await kept(dashboards)
    if not await sources.of_project(dashboards.database, project.id):
        for name, days in (("ios", 40), ("<web>", 3)):
            await dashboards.database.write(
                "INSERT INTO source (project_id, name, created_at, seen_at) VALUES (:id, :name, :at, :at)",
                {"id": project.id, "name": name, "at": NOW - days * DAY},
            )
        await dashboards.database.write("UPDATE event SET source = 0")
    found = await sources.of_project(dashboards.database, project.id)
    for source in found:
        await sources.change(
            dashboards.database, source, description="", settings=SourceSettings(), actor="cli", at=NOW
        )
    return {source.name: f"{SOURCES}/{source.id}" for source in found}


async def test_a_site_without_sources_says_how_they_come(site: Browser) -> None:
    page = words(await site.get(SOURCES))
    assert "No sources yet" in page
    assert "Each name that comes is listed here." in page


async def test_sources_are_listed_and_changed(dashboards: Dashboards, site: Browser, listed: dict[str, str]) -> None:
    page = await site.get(SOURCES)
    assert "ios Last seen 6 Feb 2026 0 events in 30 days" in words(page)
    assert "&lt;web&gt;" in page.text
    page = await site.get(listed["ios"])
    assert "First seen on 6 Feb 2026." in words(page)
    assert (chosen(page, "strategy"), value(page, "percent")) == (["project"], [""])
    assert re.search(r'name="take" value="on" checked', page.text)
    answer = await site.post(
        listed["ios"], description=" The app ", take="on", strategy="visitor", percent="10", period="600"
    )
    assert answer.headers["location"] == SOURCES
    page = words(await site.get(SOURCES))
    assert "Saved." in page
    assert "ios The app 10 % by visitor Last seen" in page
    page = await site.get(listed["ios"])
    assert (value(page, "description"), chosen(page, "strategy"), value(page, "percent")) == (
        ["The app"], ["visitor"], ["10"],
    )  # fmt: skip
    await site.post(listed["<web>"], description="", strategy="project", percent="", period="")
    _, web = await sources.of_project(dashboards.database, (await kept(dashboards)).id)
    by_name = {one.name: one.settings for one in (_, web)}
    assert by_name == {"ios": SourceSettings(sampling=Sampling("visitor", 100_000)), "<web>": SourceSettings(off=True)}
    assert "Off" in words(await site.get(SOURCES))
    last = (await audit.recent(dashboards.database, limit=1))[0]
    assert sentence(last)[:2] == ("Changed the source", "<web>")
    assert last.actor == "owner@example.com"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"strategy": "random", "percent": "none"}, "percent"),
        ({"strategy": "window", "percent": "5", "period": "0"}, "period"),
        ({"strategy": "project", "description": "x" * 201}, "description"),
    ],
)
async def test_a_source_that_cannot_be(
    site: Browser, listed: dict[str, str], fields: dict[str, str], field: str
) -> None:
    answer = await site.post(listed["ios"], **{"take": "on", "description": "", "percent": "", "period": "", **fields})
    assert answer.status_code == 422
    assert re.search(rf'<input [^>]*id="{field}"[^>]* aria-invalid="true"', answer.text)
    assert value(answer, field) == [fields[field]]
    assert re.search(r'name="take" value="on" checked', answer.text)


async def test_sources_of_another_site_are_not_found(
    dashboards: Dashboards, site: Browser, listed: dict[str, str]
) -> None:
    elsewhere = listed["ios"].replace("limited.example", "example.com")
    assert (await site.get(elsewhere)).status_code == 404
    assert (await site.post(elsewhere, take="on", strategy="project")).status_code == 404
    assert (await site.get(f"{SOURCES}/987654")).status_code == 404


# ---------------------------------------------------------------- what was refused


async def test_what_limits_refused_is_one_line_with_its_number(dashboards: Dashboards, site: Browser) -> None:
    project = await kept(dashboards)
    for reason, times in (("bot", 2), ("rate_limited", 1234), ("source_off", 1)):
        for _ in range(times):
            dashboards.refusals.add(project.id, Refusal(NOW, "rejected", reason, "why", "", "", "native"))
    page = words(await site.get(f"{SITE}/settings/refused"))
    assert "All Rate limit 1.2k Bot 2 Source switched off 1" in page
    assert page.count("Rate limit ×1.2k why") == 1
    assert page.count("Bot why") == 2
    assert "Source switched off why" in page


def test_the_words_of_limits_are_no_other_pages_words() -> None:
    assert strings_limits.LIMITS.keys().isdisjoint(ADMIN)
    assert {key: TEXTS[key] for key in strings_limits.LIMITS} == strings_limits.LIMITS


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("page", [LIMITS, SAMPLING, SOURCES])
async def test_they_are_for_admins(dashboards: Dashboards, site: Browser, page: str) -> None:
    stranger = dashboards.client()
    assert (await stranger.get(page)).headers["location"].startswith("/login")
    viewer = await dashboards.signed_in("viewer") if not hasattr(dashboards, "viewer") else dashboards.viewer
    dashboards.viewer = viewer  # type: ignore[attr-defined]
    assert (await viewer.get(page)).status_code == 403
    if page != SOURCES:
        assert (await viewer.post(page, **AS_IT_IS)).status_code == 403
    assert f'href="{page}"' in (await site.get(LIMITS)).text
