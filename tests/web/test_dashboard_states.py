"""The dashboard's fragments, who may see it, and every state that it can be in."""

from collections.abc import AsyncIterator

import pytest

from appliance.clock import MINUTE
from appliance.ingest.progress import Person
from appliance.web.access import find_project
from appliance.web.site_numbers import site_numbers
from tests.memberships import set_memberships
from tests.web.administration import Browser, words
from tests.web.dashboards import GERMAN, NOW, SITE, Dashboards, Visit, chips, figures, link, opened, rows

SWAP = {"HX-Request": "true"}

# ---------------------------------------------------------------------- fragments


async def test_a_swap_gets_the_fragment_and_history_the_page(reader: Browser) -> None:
    page = await reader.get(SITE)
    assert "<html" in page.text
    assert page.headers["vary"] == "HX-Request"
    fragment = await reader.get(SITE, headers=SWAP)
    assert fragment.text.lstrip().startswith("<title>example.com · Appliance</title>")
    assert fragment.text.count('id="dash"') == 1
    assert fragment.headers["cache-control"] == "private, max-age=5"
    assert fragment.headers["vary"] == "HX-Request"
    again = await reader.get(SITE, headers=SWAP | {"HX-History-Restore-Request": "true"})
    assert "<html" in again.text


@pytest.mark.parametrize("part", ["main", "panel/sources"])
async def test_a_part_without_a_script_is_the_page_with_the_same_state(reader: Browser, part: str) -> None:
    answer = await reader.get(f"{SITE}/{part}?period=7d&sources=visit:channel")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{SITE}?period=7d&sources=visit:channel"


async def test_what_is_no_card_is_not_found(reader: Browser) -> None:
    assert (await reader.get(f"{SITE}/panel/weather")).status_code == 404


async def test_labels_are_text_whatever_they_hold(dashboards: Dashboards) -> None:
    visit = Visit("2026-03-10 10:00", 77, ["/<img src=x onerror=alert(1)>"], GERMAN | {"referrer_source": '"><script>'})
    await dashboards.site([visit], "evil.example")
    answer = await (await dashboards.owner()).get("/sites/evil.example")
    assert "<img" not in answer.text
    assert '"><script>' not in answer.text
    assert ("/<img src=x onerror=alert(1)>", "1") in rows(answer, "pages")


# ---------------------------------------------------------------------- who may see it


async def test_strangers_log_in_first_and_swaps_are_sent_there(dashboards: Dashboards) -> None:
    stranger = dashboards.client()
    answer = await stranger.get(SITE + "?period=7d")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/sites/example.com%3Fperiod%3D7d")
    swap = await stranger.get(SITE, headers=SWAP)
    assert (swap.status_code, swap.headers["hx-redirect"]) == (401, "/login?next=/sites/example.com")


async def test_viewers_see_the_sites_that_are_theirs(dashboards: Dashboards) -> None:
    viewer = await dashboards.signed_in("viewer")
    assert (await viewer.get(SITE)).status_code == 200
    other = await dashboards.project("other.example")
    await set_memberships(dashboards.database, viewer.account, {other.project.id: "viewer"})
    for path in (
        SITE,
        f"{SITE}/main",
        f"{SITE}/panel/pages",
        f"{SITE}/details/event:page",
        f"{SITE}/filter",
        f"{SITE}/series.csv",
    ):
        assert (await viewer.get(path)).status_code == 404, path
    assert (await viewer.get("/sites/other.example")).status_code == 200
    assert "test event" not in words(await viewer.get("/sites/other.example"))


async def test_an_unknown_site_is_not_found(reader: Browser) -> None:
    assert (await reader.get("/sites/nowhere.example")).status_code == 404


# ---------------------------------------------------------------------- states


async def test_before_the_first_event_it_shows_how_to_connect(dashboards: Dashboards) -> None:
    made = await dashboards.project("new.example")
    answer = await (await dashboards.owner()).get("/sites/new.example")
    assert answer.status_code == 200
    assert "Waiting for the first visit" in words(answer)
    assert made.public_key.token is not None
    assert made.public_key.token in answer.text
    assert 'data-stream="/sites/new.example/stream?' in answer.text
    assert figures(answer) == dict.fromkeys(figures(answer), "–")
    assert answer.text.count('class="skeleton"') > 20


async def test_a_quiet_period_says_so_and_leads_on(reader: Browser) -> None:
    answer = await reader.get(SITE + "?from=2026-02-20&to=2026-02-25&f=is:visit:country:DE")
    assert "No visits in this period" in words(answer)
    assert link(answer, "Last 30 days") == f"{SITE}?period=30d&f=is:visit:country:DE"
    assert link(answer, "Clear filters") == f"{SITE}?from=2026-02-20&to=2026-02-25"
    assert rows(answer, "sources") == []
    assert "No sources in this period." in words(answer)


async def test_delay_and_a_full_disk_are_told(
    dashboards: Dashboards, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'class="banner' not in (await reader.get(SITE)).text
    monkeypatch.setattr(dashboards, "health", dashboards.health._replace(lag_seconds=184.0, disk_free_bytes=90_000_000))
    assert "Data are 3m 04s behind." in words(await reader.get(SITE)).replace("\xa0", " ")
    assert "Only 90 MB of disk space left." in words(await reader.get(SITE)).replace("\xa0", " ")


async def test_people_now_are_those_whose_events_were_just_stored(dashboards: Dashboards, reader: Browser) -> None:
    assert "<b data-live>0</b>" in (await reader.get(SITE)).text
    project = await find_project(dashboards.database, "example.com")
    assert project is not None
    people = [Person(project.id, visitor, NOW - MINUTE, "/", "", "DE", 1) for visitor in (1, 2, 2)]
    dashboards.presence.meet(people, NOW)
    assert "<b data-live>2</b>" in (await reader.get(SITE)).text


@pytest.fixture(scope="module")
async def slow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dashboards]:
    """A site whose questions take longer than they may."""
    async with opened(tmp_path_factory.mktemp("slow"), timeout_seconds=0.000_001) as ready:
        await ready.site()
        yield ready


async def test_when_nothing_can_be_counted_the_controls_remain(slow: Dashboards) -> None:
    reader = await slow.owner()
    answer = await reader.get(SITE + "?period=7d&f=is:visit:country:DE")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert "The figures could not be loaded" in words(answer)
    assert chips(answer) == ["Country is Germany"]
    assert link(answer, "Retry") == f"{SITE}?period=7d&f=is:visit:country:DE"
    assert [words(answer).count("Could not load")] == [5]
    swap = await reader.get(SITE, headers=SWAP)
    assert (swap.status_code, "<html" in swap.text) == (503, False)


async def test_a_card_that_fails_says_so_by_itself(slow: Dashboards) -> None:
    reader = await slow.owner()
    answer = await reader.get(f"{SITE}/panel/sources?sources=visit:channel", headers=SWAP)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "Could not load" in words(answer)
    assert f'hx-get="{SITE}/panel/sources?sources=visit:channel"' in answer.text


# ---------------------------------------------------------------------- the list of sites


async def test_the_cards_of_sites_have_the_last_24_hours(dashboards: Dashboards) -> None:
    visits = [
        Visit("2026-03-18 14:50", 1, ["/", "/a"], GERMAN),
        Visit("2026-03-18 15:10", 2, ["/"], GERMAN),
        Visit("2026-03-17 15:45", 1, ["/"], GERMAN),
        Visit("2026-03-17 15:15", 3, ["/"], GERMAN),
        Visit("2026-03-16 16:00", 4, ["/"], GERMAN),
    ]
    project = await dashboards.site(visits, "cards.example")
    empty = (await dashboards.project("empty.example")).project
    numbers = await site_numbers(dashboards.app.state.reports, dashboards.presence, [project, empty])
    assert numbers[project.id] == (2, 2, (*[0] * 22, 1, 1), 0)
    assert numbers[empty.id] == (0, 0, (0,) * 24, 0)


async def test_a_site_that_cannot_be_counted_does_not_hide_the_others(slow: Dashboards) -> None:
    project = await slow.site([], "dark.example")
    numbers = await site_numbers(slow.app.state.reports, slow.presence, [project])
    assert numbers[project.id] == (None, None, (None,) * 24, 0)
    assert await site_numbers(slow.app.state.reports, slow.presence, []) == {}
