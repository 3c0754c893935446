"""The demonstration: what it generates, and that it plays on a real server."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from appliance.config import Settings
from appliance.demo import ledger, people, stage
from appliance.demo.manual import MANUAL
from appliance.demo.shop import SHOP
from appliance.demo.site import routes
from appliance.demo.stage import Scene
from appliance.demo.traffic import Traffic
from appliance.demo.world import LEAVE, World
from appliance.ingest.geo import address_country
from appliance.ingest.user_agent import read_agent
from appliance.storage import accounts, goals, projects
from appliance.storage.open import opened
from tests.process import Server, free_port
from tests.running import Running

FRIDAY = date(2026, 3, 6)
WORLDS = pytest.mark.parametrize("world", [SHOP, MANUAL], ids=lambda world: world.slug)


def traffic(world: World, events_a_day: float = 300, seed: int = 1) -> Traffic:
    """Traffic of a project made on that Friday."""
    return Traffic(world, made_on=FRIDAY, events_a_day=events_a_day, seed=seed)


# ---------------------------------------------------------------- what is generated


@WORLDS
def test_a_day_is_the_same_whenever_it_is_asked_for(world: World) -> None:
    once, again = traffic(world), traffic(world)
    again.of_day(FRIDAY - timedelta(20))
    assert once.of_day(FRIDAY) == again.of_day(FRIDAY)


@WORLDS
def test_seeds_share_no_event(world: World) -> None:
    ids = [{timed.event_id for timed in traffic(world, seed=seed).of_day(FRIDAY)} for seed in (1, 2)]
    assert not ids[0] & ids[1]


@WORLDS
def test_ids_are_unique_over_days(world: World) -> None:
    plan = traffic(world)
    ids = [timed.event_id for age in range(5) for timed in plan.of_day(FRIDAY - timedelta(age))]
    assert len(set(ids)) == len(ids) > 1000


@WORLDS
def test_engagement_follows_its_page_view(world: World) -> None:
    seen = set()
    for timed in traffic(world).of_day(FRIDAY):
        if timed.event["event"] == "pageview":
            seen.add(timed.event_id)
        elif timed.event["event"] == "engagement":
            assert timed.event["pageview_id"] in seen


@WORLDS
def test_there_is_about_as_much_as_was_asked_for(world: World) -> None:
    plan = traffic(world)
    names = Counter(timed.event["event"] for age in range(1, 31) for timed in plan.of_day(FRIDAY - timedelta(age)))
    counted = names.total() - names["engagement"] - names["identify"]
    assert counted == pytest.approx(30 * 300, rel=0.25)  # the spike comes on top


@WORLDS
def test_it_grows_has_weekends_and_a_spike(world: World) -> None:
    plan = traffic(world, events_a_day=3000)
    days = {age: plan.visits_on(FRIDAY - timedelta(age)) for age in range(1, 31)}
    spike = world.spike.days_before
    assert max(days, key=lambda age: days[age]) == spike
    weeks = [sum(days[age] for age in range(first, first + 7)) for first in (15, 22)]
    assert weeks[0] > weeks[1]
    sunday, thursday = days[26], days[29]  # 8 and 5 February, before the spike
    assert (sunday > thursday) == (world is SHOP), "people shop at weekends and read manuals at work"


@WORLDS
def test_most_happens_when_people_are_awake(world: World) -> None:
    plan = traffic(world, events_a_day=3000)
    hours = Counter(datetime.fromtimestamp(timed.at / 1000, plan.zone).hour for timed in plan.of_day(FRIDAY))
    assert sum(hours[hour] for hour in (11, 12, 13)) > 2 * sum(hours[hour] for hour in (1, 2, 3))


@WORLDS
def test_every_way_leads_somewhere(world: World) -> None:
    kinds = world.kinds.keys() | {LEAVE}
    for name, kind in world.kinds.items():
        assert kind.onward.keys() <= kinds, name
        assert kind.onward[LEAVE] > 0, f"{name} must have a way out"
    for source in (*world.sources, *world.return_sources, world.spike.source):
        assert source.lands_on.keys() <= world.kinds.keys()
    assert world.countries.keys() <= people.networks().keys()


def test_people_come_back() -> None:
    plan = traffic(MANUAL)
    people_of = [
        {(timed.event["ip"], timed.event["user_agent"]) for timed in plan.of_day(FRIDAY - timedelta(age))}
        for age in (0, 1)
    ]
    again = len(people_of[0] & people_of[1]) / len(people_of[0])
    assert 0.05 < again < 0.4


def test_shoppers_buy_what_they_put_into_the_cart() -> None:
    plan = traffic(SHOP, events_a_day=3000)
    events = [timed.event for timed in plan.of_day(FRIDAY)]
    bought = [event for event in events if event["event"] == "Purchase"]
    assert len(bought) > 5
    for event in bought:
        assert event["revenue"]["currency"] == "EUR"
        assert event["revenue"]["amount"] > 0 < event["properties"]["items"]
    names = Counter(event["event"] for event in events)
    assert names["Add to cart"] > names["Checkout"] > names["Purchase"]


# ---------------------------------------------------------------- inputs that the appliance itself must recognise


@pytest.mark.parametrize(("country", "network"), people.networks().items())
def test_networks_lie_where_their_row_says(country: str, network: people.Network) -> None:
    for prefix in network.prefixes:
        found = [address_country(f"{prefix}.{third}.77") for third in range(0, 256, 15)]
        assert found.count(country) / len(found) > 0.7, (prefix, Counter(found))


@pytest.mark.parametrize(
    ("kind", "agent"), [(kind, browser.agent) for kind, browsers in people.agents().items() for browser in browsers]
)
def test_agents_are_browsers_on_the_device_they_stand_for(kind: str, agent: str) -> None:
    found = read_agent(agent)
    assert not found.bot
    assert found.browser
    assert found.os
    assert found.device.lower() == kind


@WORLDS
async def test_the_appliance_takes_every_event(running: Running, world: World) -> None:
    events = [timed.event for timed in traffic(world).of_day(FRIDAY)]
    for start in range(0, len(events), 1000):
        batch = events[start : start + 1000]
        answer = (await running.send({"events": batch})).json()
        assert answer["accepted"] == len(batch), answer["rejected"] or answer["dropped"]


@WORLDS
def test_every_goal_is_reached_within_a_week(world: World) -> None:
    plan = traffic(world)
    sent = [timed.event for day in range(7) for timed in plan.of_day(FRIDAY - timedelta(day))]
    names = {event["event"] for event in sent}
    paths = {urlsplit(event["url"]).path for event in sent if event["event"] == "pageview"}
    for goal in world.goals:
        pattern = re.escape(goal.pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        assert any(re.fullmatch(pattern, path) for path in (names if goal.kind == "event" else paths)), goal


# ---------------------------------------------------------------- the stage


async def test_the_stage_is_built_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first, second = await stage.build(settings), await stage.build(settings)
    assert first == second
    assert first.login is not None
    assert [scene.world.domain for scene in first.scenes] == ["fjordandfield.example", "docs.pylon.example"]
    assert (tmp_path / ledger.FILE).stat().st_mode & 0o077 == 0
    async with opened(settings) as database:
        assert await accounts.authenticate(database, *first.login) is not None
        assert {(p.timezone, p.currency) for p in await projects.list_all(database)} == {
            ("Europe/Berlin", "EUR"),
            ("America/New_York", "USD"),
        }
        made = [await goals.of_project(database, project.id) for project in await projects.list_all(database)]
        assert sorted(map(len, made)) == sorted(len(world.goals) for world in stage.WORLDS)


async def test_where_people_have_accounts_none_is_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with opened(settings, may_make=True) as database:
        await accounts.create(database, email="ada@example.com", password="correct horse", actor="test", at=1)
    assert (await stage.build(settings)).login is None
    async with opened(settings) as database:
        assert [account.email for account in await accounts.list_all(database)] == ["ada@example.com"]


def test_it_names_the_server_only_where_one_runs(tmp_path: Path) -> None:
    process = demo(tmp_path, "--url", "http://127.0.0.1:9")
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "no server runs" in printed


async def test_one_project_can_have_it_all(tmp_path: Path) -> None:
    built = await stage.build(Settings(data_dir=tmp_path), "https://mine.example/")
    (scene,) = built.scenes
    assert (scene.world.domain, scene.world.share) == ("mine.example", 1.0)
    assert traffic(scene.world).of_day(FRIDAY)[0].event["url"].startswith("https://mine.example/")


# ---------------------------------------------------------------- the demo site


def site() -> AsyncClient:
    scenes = [Scene(SHOP, "one", "sa_shop", FRIDAY), Scene(MANUAL, "two", "sa_docs", FRIDAY)]
    app = Starlette(routes=routes(scenes))
    return AsyncClient(transport=ASGITransport(app), base_url="http://appliance.test", follow_redirects=True)


async def test_every_link_of_the_demo_site_leads_to_a_page_with_the_tracker() -> None:
    async with site() as client:
        to_see, seen = {"/demo/"}, set()
        while to_see:
            path = to_see.pop()
            seen.add(path)
            answer = await client.get(path)
            assert answer.status_code == 200, path
            if answer.headers["content-type"].startswith("text/html"):
                key = "sa_docs" if path.startswith("/demo/docs/") else "sa_shop"
                assert f'src="/script.js" data-key="{key}"' in answer.text
                to_see |= set(re.findall(r'(?:href|src)="(/demo/[^"]*)"', answer.text)) - seen
        assert len(seen) > 15


@pytest.mark.parametrize(
    "path", ["/demo/none/", "/demo/shop/none", "/demo/shop/products/ridge-1-tent", "/demo/%2e%2e/x"]
)
async def test_other_paths_are_not_found(path: str) -> None:
    async with site() as client:
        assert (await client.get(path)).status_code == 404


# ---------------------------------------------------------------- the command


def demo(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("APPLIANCE_")}
    command = [sys.executable, "-m", "appliance", "--data-dir", str(folder), "demo", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def played(folder: Path, *arguments: str) -> str:
    """What the command prints, once it has ended by itself."""
    process = demo(folder, "--once", "--days", "2", "--events", "600", *arguments)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    return printed


async def counts(folder: Path) -> list[tuple[str, int, int]]:
    async with opened(Settings(data_dir=folder)) as database:
        rows = await database.read(
            "SELECT project.name, count(*), count(DISTINCT visit_id) FROM event JOIN project"
            " ON project.id = project_id GROUP BY 1 ORDER BY 1"
        )
    return [tuple(row) for row in rows]


async def test_it_serves_sends_and_adds_nothing_the_second_time(tmp_path: Path) -> None:
    printed = await asyncio.to_thread(played, tmp_path, "--port", str(free_port()))
    assert "demo@example.com / " in printed
    first = await counts(tmp_path)
    assert [name for name, _, _ in first] == ["Fjord & Field", "Pylon docs"]
    assert all(visits > 20 < events for _, events, visits in first)
    (tmp_path / ledger.FILE).unlink()  # it forgot what it sent; the appliance knows
    await asyncio.to_thread(played, tmp_path, "--port", str(free_port()))
    second = await counts(tmp_path)
    for (_, before, _), (_, after, _) in zip(first, second, strict=True):
        assert before <= after <= before + 20, "but for what happened between the two"


async def test_it_plays_beside_a_server_that_runs(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        printed = await asyncio.to_thread(played, server.folder, "--url", server.url, "--project", "example.com")
        assert "/demo/" not in printed, "the demo site is the demonstration's own"
        (only,) = server.cli("status", "--json")["projects"]
        assert only["name"] == "example.com"
        assert server.get("/demo/")[0] == 404
        assert server.wait_until_stored(100) >= 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_goes_on_until_it_is_stopped_and_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    process = demo(tmp_path, "--days", "1", "--events", "200", "--port", str(free_port()))
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Visitors keep arriving"):
            break
    os.killpg(process.pid, number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 0, printed
    assert "Traceback" not in printed


def test_visitors_end_with_their_server(tmp_path: Path) -> None:
    process = demo(tmp_path, "--days", "1", "--events", "200", "--port", str(free_port()))
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Visitors keep arriving"):
            break
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("a process outlived its server")
