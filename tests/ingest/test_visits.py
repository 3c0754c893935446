"""Which visit an event joins, and what that does to the visit (SEMANTICS, Visits and Identity)."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.clock import DAY, HOUR, MINUTE
from appliance.ingest.batch import Applied, Batch
from appliance.model import Event, Flag, Kind, ProjectSettings
from tests.builders import ANN, BOB, CAT, START, at, engagement, event, pageview, user_event, user_visitor
from tests.engines import AnyDatabase, drain_store

YESTERDAY = 1001  # Ann's rotating id of the day before


class Store:
    """A database, and a batch that applies events to it as the drain does."""

    def __init__(self, database: AnyDatabase, settings: ProjectSettings) -> None:
        self.database = database
        self.store = drain_store(database)
        self.settings = settings
        self.batch = Batch(lambda project_id: self.settings)

    async def apply(self, *events: Event) -> Applied:
        return self.store.transact(lambda tx: self.batch.apply(tx, events))

    async def restart(self) -> None:
        self.batch = Batch(lambda project_id: self.settings)

    async def visits(self, *columns: str) -> list[Any]:
        names = columns or ("visitor", "start", "end", "pageviews", "events")
        listed = ", ".join(f'"{name}"' for name in names)
        rows = await self.database.read(f"SELECT {listed} FROM visit ORDER BY start, id")
        return [row[0] if len(names) == 1 else row for row in rows]

    async def pages(self) -> list[tuple[str, str]]:
        rows = await self.database.read(
            """
            SELECT (SELECT text FROM dictionary d WHERE dimension = 4 AND d.project_id = v.project_id
                    AND code = entry_path),
                   (SELECT text FROM dictionary d WHERE dimension = 4 AND d.project_id = v.project_id
                    AND code = exit_path)
            FROM visit v ORDER BY start, id
            """
        )
        return list(rows)


@pytest.fixture
def store(database: AnyDatabase) -> Iterator[Store]:
    opened = Store(database, ProjectSettings())
    yield opened
    opened.store.close()


async def test_events_without_a_gap_are_one_visit(store: Store) -> None:
    await store.apply(pageview(0), pageview(30), event(60))
    assert await store.visits() == [(ANN, at(0), at(60), 2, 3)]


async def test_a_gap_above_the_timeout_starts_another(store: Store) -> None:
    await store.apply(pageview(0), pageview(30.01))
    assert await store.visits("start") == [at(0), at(30.01)]


async def test_the_timeout_is_the_projects(store: Store) -> None:
    store.settings = ProjectSettings(visit_timeout_seconds=3600)
    await store.apply(pageview(0), pageview(59))
    assert await store.visits("events") == [2]


WINDOW = ProjectSettings(visit_rule="window", visit_window_minutes=60)
# START lies on a full hour, and START is minute 0 of the builders.


async def test_under_the_window_rule_pauses_do_not_matter_but_the_hour_does(store: Store) -> None:
    assert START % HOUR == 0
    store.settings = WINDOW
    await store.apply(pageview(0), pageview(59.99), pageview(60), pageview(61), pageview(119))
    assert await store.visits() == [(ANN, at(0), at(59.99), 2, 2), (ANN, at(60), at(119), 3, 3)]


async def test_under_the_window_rule_a_late_event_joins_its_own_hour(store: Store) -> None:
    store.settings = WINDOW
    await store.apply(pageview(61), pageview(130))
    await store.restart()
    await store.apply(pageview(59), pageview(119), pageview(60))
    assert await store.visits("start", "end", "events") == [
        (at(59), at(59), 1), (at(60), at(119), 3), (at(130), at(130), 1),
    ]  # fmt: skip


async def test_under_the_window_rule_engagement_lengthens_a_visit_within_its_hour(store: Store) -> None:
    store.settings = WINDOW
    page = pageview(1)
    applied = await store.apply(page, engagement(59, page, 50, 1000), engagement(61, page, 60, 1000))
    assert applied.refused == []
    assert await store.visits("start", "end", "events") == [(at(1), at(59), 1)]


async def test_under_the_window_rule_a_session_id_still_says_by_itself_that_a_visit_goes_on(store: Store) -> None:
    store.settings = WINDOW
    await store.apply(pageview(50, session_id="s"), pageview(70, session_id="s"), pageview(71))
    assert await store.visits("start", "end", "events") == [(at(50), at(70), 2), (at(71), at(71), 1)]


async def test_other_visitors_and_other_projects_have_their_own(store: Store) -> None:
    await store.apply(pageview(0), pageview(1, visitor=BOB), pageview(2, project_id=2))
    assert await store.visits("events") == [1, 1, 1]


@pytest.mark.parametrize("cuts", [(), (1,), (1, 2), (1, 2, 3)])
async def test_it_does_not_matter_how_the_journal_is_cut_into_batches(store: Store, cuts: tuple[int, ...]) -> None:
    events = [pageview(0, "/a"), event(10), pageview(20, "/b"), pageview(60, "/c")]
    for start, stop in itertools.pairwise((0, *cuts, len(events))):
        await store.apply(*events[start:stop])
        await store.restart()
    assert await store.visits() == [(ANN, at(0), at(20), 2, 3), (ANN, at(60), at(60), 1, 1)]
    assert await store.pages() == [("/a", "/b"), ("/c", "/c")]


async def test_a_late_event_joins_the_visit_that_covers_its_time_and_moves_its_start(store: Store) -> None:
    await store.apply(pageview(100, "/second"))
    await store.restart()
    await store.apply(pageview(80, "/first"))
    assert await store.visits() == [(ANN, at(80), at(100), 2, 2)]
    assert await store.pages() == [("/first", "/second")]


async def test_a_late_event_between_two_visits_joins_the_nearer_and_they_never_merge(store: Store) -> None:
    await store.apply(pageview(0), pageview(40), pageview(19))
    assert await store.visits("start", "end", "events") == [(at(0), at(19), 2), (at(40), at(40), 1)]


async def test_with_equal_gaps_the_later_visit_gets_it(store: Store) -> None:
    await store.apply(pageview(0), pageview(40), pageview(20))
    assert await store.visits("start", "events") == [(at(0), 1), (at(20), 2)]


async def test_no_visit_spans_more_than_a_day(store: Store) -> None:
    events = [pageview(minutes) for minutes in range(0, 24 * 60 + 41, 20)]
    await store.apply(*events)
    assert await store.visits("start", "end") == [
        (START, START + 24 * HOUR),
        (START + 24 * HOUR + 20 * MINUTE, START + 24 * HOUR + 40 * MINUTE),
    ]


async def test_entry_and_exit_follow_time_then_journal_order(store: Store) -> None:
    await store.apply(pageview(5, "/b"), pageview(5, "/c"), pageview(0, "/late"), pageview(5, "/d"))
    assert await store.pages() == [("/late", "/d")]


async def test_custom_events_have_no_entry_page(store: Store) -> None:
    await store.apply(event(0, path="/x"), pageview(1, "/y"), event(2, path="/z"))
    assert await store.pages() == [("/y", "/y")]
    assert await store.visits("events", "pageviews", "interactive") == [(3, 1, 2)]


async def test_passive_events_do_not_end_a_bounce(store: Store) -> None:
    await store.apply(pageview(0), event(1, name="404", flags=Flag.PASSIVE))
    assert await store.visits("events", "pageviews", "interactive") == [(2, 1, 0)]


async def test_a_visit_has_the_rate_at_which_its_visitor_was_kept(store: Store) -> None:
    by_visitor = {"rate": 250_000, "flags": Flag.BY_VISITOR}
    await store.apply(pageview(0, rate=250_000), pageview(1, **by_visitor))  # the first event was kept by itself
    await store.apply(pageview(0, visitor=BOB, **by_visitor), pageview(-1, visitor=BOB, rate=500_000))
    assert await store.visits("visitor", "rate") == [(BOB, 250_000), (ANN, 1_000_000)]


async def test_acquisition_comes_from_the_first_stored_event_and_stays(store: Store) -> None:
    await store.apply(pageview(10, referrer_source="Google", country="FR"), pageview(5, referrer_source="Bing"))
    (first,) = await store.database.read(
        """SELECT s.text, c.text FROM visit v
           JOIN dictionary s ON s.dimension = 9 AND s.code = referrer_source
           JOIN dictionary c ON c.dimension = 17 AND c.code = country"""
    )
    assert first == ("Google", "FR")


# ---------------------------------------------------------------------- session ids


async def test_a_session_id_overrides_the_timeout(store: Store) -> None:
    await store.apply(pageview(0, session_id="s"), pageview(300, session_id="s"))
    assert await store.visits("start", "end") == [(at(0), at(300))]


async def test_another_session_id_is_another_visit_and_none_joins_any(store: Store) -> None:
    await store.apply(pageview(0, session_id="s"), pageview(1, session_id="t"), pageview(2))
    assert await store.visits("session_id", "events") == [("s", 1), ("t", 2)]


async def test_an_event_with_a_session_id_does_not_join_a_visit_without(store: Store) -> None:
    await store.apply(pageview(0), pageview(1, session_id="s"))
    assert await store.visits("session_id") == ["", "s"]


async def test_session_ids_are_scoped_to_the_visitor(store: Store) -> None:
    await store.apply(pageview(0, session_id="s"), pageview(1, visitor=BOB, session_id="s"))
    assert await store.visits("visitor") == [ANN, BOB]


async def test_not_even_a_session_id_makes_a_visit_longer_than_a_day(store: Store) -> None:
    await store.apply(pageview(0, session_id="s"), pageview(24 * 60 + 1, session_id="s"))
    assert len(await store.visits()) == 2


# ---------------------------------------------------------------------- midnight


@pytest.mark.parametrize("restart", [False, True])
async def test_an_open_visit_keeps_yesterdays_id_over_midnight(store: Store, restart: bool) -> None:
    before = pageview(0, visitor=YESTERDAY)
    after = [pageview(20, visitor=ANN, visitor_yesterday=YESTERDAY), pageview(45, visitor=ANN)]
    for each in (before, *after):
        await store.apply(each)
        if restart:
            await store.restart()
    assert await store.visits() == [(YESTERDAY, at(0), at(45), 3, 3)]


async def test_without_an_open_visit_yesterdays_id_is_not_used(store: Store) -> None:
    await store.apply(pageview(0, visitor=YESTERDAY), pageview(31, visitor=ANN, visitor_yesterday=YESTERDAY))
    assert await store.visits("visitor") == [YESTERDAY, ANN]


async def test_when_the_visit_has_closed_the_next_one_has_todays_id(store: Store) -> None:
    await store.apply(
        pageview(0, visitor=YESTERDAY), pageview(20, visitor_yesterday=YESTERDAY), pageview(120), pageview(121)
    )
    assert await store.visits("visitor", "events") == [(YESTERDAY, 2), (ANN, 2)]


# ---------------------------------------------------------------------- identify


@pytest.mark.parametrize("restart", [False, True])
async def test_a_visit_that_gets_a_user_is_rekeyed_and_its_anonymous_events_follow(store: Store, restart: bool) -> None:
    steps = [
        pageview(0),
        user_event(1, "ann@example.com", kind=Kind.IDENTIFY, name="identify"),
        pageview(2),  # sent before the page knew of the user
        user_event(3, "ann@example.com"),
    ]
    for each in steps:
        await store.apply(each)
        if restart:
            await store.restart()
    assert await store.visits("visitor", "events", "salt_day") == [(user_visitor("ann@example.com"), 3, None)]


async def test_identify_alone_starts_no_visit(store: Store) -> None:
    await store.apply(user_event(0, "ann", kind=Kind.IDENTIFY, name="identify"))
    assert await store.visits() == []


async def test_servers_do_not_inherit_visits(store: Store) -> None:
    await store.apply(pageview(0), user_event(1, "ann", anonymous=None))
    assert await store.visits("visitor") == [ANN, user_visitor("ann")]


async def test_a_second_user_in_one_visit_starts_a_new_one(store: Store) -> None:
    await store.apply(pageview(0), user_event(1, "ann"), user_event(2, "bob"), pageview(3))
    assert await store.visits("visitor", "events") == [(user_visitor("ann"), 2), (user_visitor("bob"), 2)]


def alias(minutes: float, user: str, previous: str, anonymous: int = CAT, **fields: Any) -> Event:
    """A user says that another id was theirs: a user's, or that of a client as which somebody was seen before."""
    return user_event(
        minutes, user, anonymous, kind=Kind.ALIAS, name="alias", visitor_yesterday=user_visitor(previous), **fields
    )


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "before", [user_event(0, "draft", None), pageview(0, visitor=CAT, salt_day=None)], ids=["user", "anonymous"]
)
async def test_an_alias_gives_the_open_visit_to_the_user(store: Store, before: Event, restart: bool) -> None:
    for each in (before, alias(1, "ann", "draft"), user_event(2, "ann", None)):
        await store.apply(each)
        if restart:
            await store.restart()
    assert await store.visits("visitor", "events") == [(user_visitor("ann"), 2)]


async def test_who_goes_on_under_the_former_id_is_somebody_else(store: Store) -> None:
    await store.apply(user_event(0, "draft", None), alias(1, "ann", "draft"), user_event(2, "draft", None))
    assert await store.visits("visitor") == [user_visitor("ann"), user_visitor("draft")]


async def test_an_alias_starts_no_visit_and_leaves_those_that_are_over(store: Store) -> None:
    await store.apply(user_event(0, "draft", None), alias(60, "ann", "draft"))
    assert await store.visits("visitor") == [user_visitor("draft")]


async def test_traits_are_laid_over_each_other_and_those_to_be_set_once_over_nothing(store: Store) -> None:
    said = [
        ('{"plan":"free"}', '{"from":"ad","plan":"none"}'),
        ('{"plan":"team"}', '{"from":"mail","first":1}'),
        ("", '{"from":"x"}'),
        ('{"plan":null}', ""),
    ]
    for minute, (traits, once) in enumerate(said):
        identify = user_event(minute, "ann", kind=Kind.IDENTIFY, name="identify", traits=traits, traits_once=once)
        await store.apply(identify)
    ((traits,),) = await store.database.read("SELECT traits FROM user_trait")
    assert json.loads(traits) == {"from": "ad", "first": 1}


async def test_only_the_open_visit_is_rekeyed(store: Store) -> None:
    await store.apply(pageview(0), pageview(100), user_event(101, "ann"))
    assert await store.visits("visitor") == [ANN, user_visitor("ann")]


async def test_after_reset_the_same_browser_is_somebody_else(store: Store) -> None:
    await store.apply(pageview(0), user_event(1, "ann"), event(2, kind=Kind.RESET, name="reset"), pageview(3))
    assert await store.visits("visitor", "events") == [(user_visitor("ann"), 2), (ANN, 1)]


async def test_a_visit_begun_by_a_user_takes_the_browsers_anonymous_events(store: Store) -> None:
    await store.apply(user_event(0, "ann"), pageview(1))
    assert await store.visits("visitor", "events") == [(user_visitor("ann"), 2)]


async def test_rekeyed_over_midnight(store: Store) -> None:
    await store.apply(
        pageview(0, visitor=YESTERDAY), user_event(20, "ann", visitor_yesterday=YESTERDAY), pageview(22, visitor=ANN)
    )
    assert await store.visits("visitor", "events") == [(user_visitor("ann"), 3)]


# ---------------------------------------------------------------------- engagement


@pytest.mark.parametrize("same_batch", [True, False])
async def test_engagement_adds_to_its_pageview_and_lengthens_the_visit(store: Store, same_batch: bool) -> None:
    page = pageview(0)
    parts = [page, engagement(1, page, 40, 5000), engagement(2, page, 30, 2500)]
    if same_batch:
        await store.apply(*parts)
    else:
        for part in parts:
            await store.apply(part)
            await store.restart()
    assert await store.visits() == [(ANN, at(0), at(2), 1, 1)]
    assert await store.database.read("SELECT scroll_depth, engaged_ms FROM event") == [(40, 7500)]


async def test_engagement_after_the_visit_closed_counts_for_the_page_but_not_for_the_visit(store: Store) -> None:
    page = pageview(0)
    await store.apply(page, engagement(300, page, 90, 1000))
    assert await store.visits("end") == [at(0)]
    assert await store.database.read("SELECT scroll_depth, engaged_ms FROM event") == [(90, 1000)]


async def test_engagement_without_its_pageview_is_refused_in_the_end(store: Store) -> None:
    assert (await store.apply(engagement(1, pageview(0)))).refused == []
    applied = await store.apply(event(3, BOB))
    assert [reason for _, reason in applied.refused] == ["no_pageview"]
    assert await store.visits("visitor") == [BOB]


async def test_engagement_of_another_projects_pageview_is_refused_in_the_end(store: Store) -> None:
    page = pageview(0)
    applied = await store.apply(page, engagement(1, page, project_id=2), event(3))
    assert [reason for _, reason in applied.refused] == ["no_pageview"]
    assert await store.database.read("SELECT max(engaged_ms), count(DISTINCT project_id) FROM event") == [(0, 1)]


# ---------------------------------------------------------------------- deduplication


@pytest.mark.parametrize("same_batch", [True, False])
async def test_an_id_counts_once(store: Store, same_batch: bool) -> None:
    one, again = pageview(0, event_id="x"), pageview(0, event_id="x")
    applied = [await store.apply(one, again)] if same_batch else [await store.apply(one), await store.apply(again)]
    assert sum(len(a.stored) for a in applied) == 1
    assert sum(a.duplicates for a in applied) == 1
    assert sum(a.conflicts for a in applied) == 0
    assert await store.visits("events") == [1]


async def test_the_first_of_two_contents_under_one_id_wins_and_it_is_said(store: Store) -> None:
    applied = await store.apply(pageview(0, "/a", event_id="x"), pageview(0, "/b", event_id="x"))
    assert (applied.duplicates, applied.conflicts) == (1, 1)
    assert await store.pages() == [("/a", "/a")]


async def test_the_same_id_in_two_projects_is_two_events(store: Store) -> None:
    applied = await store.apply(pageview(0, event_id="x"), pageview(0, event_id="x", project_id=2))
    assert len(applied.stored) == 2


async def test_after_the_window_an_id_counts_again(store: Store) -> None:
    await store.apply(pageview(0, event_id="x"))
    week = pageview(0, event_id="x", received=START + 7 * DAY)
    later = pageview(0, event_id="x", received=START + 8 * DAY)
    assert (await store.apply(week)).duplicates == 1
    assert (await store.apply(later)).duplicates == 0


async def test_ids_that_the_server_minted_need_no_memory(store: Store) -> None:
    await store.apply(pageview(0, flags=Flag.MINTED), pageview(1, flags=Flag.MINTED))
    assert await store.database.read("SELECT count(*) FROM seen") == [(0,)]
    assert await store.database.read("SELECT count(*) FROM event") == [(2,)]


async def test_a_batch_that_fails_leaves_nothing_and_the_next_one_is_right(store: Store) -> None:
    await store.apply(pageview(0))

    def broken(tx: Any) -> None:
        store.batch.apply(tx, [pageview(5, "/never"), event(6, name="never")])
        raise RuntimeError("after the work, before the commit")

    with pytest.raises(RuntimeError):
        store.store.transact(broken)
    store.batch.forget()
    await store.apply(pageview(10, "/after"))
    assert await store.visits() == [(ANN, at(0), at(10), 2, 2)]
    assert await store.pages() == [("/", "/after")]
    assert await store.database.read("SELECT count(*) FROM event") == [(2,)]


async def test_a_batch_that_fails_leaves_no_memory_of_what_its_visits_said(store: Store) -> None:
    def broken(tx: Any) -> None:
        store.batch.apply(tx, [pageview(0, country="DE"), event(1, country="DE")])
        raise RuntimeError("after the work, before the commit")

    with pytest.raises(RuntimeError):
        store.store.transact(broken)
    store.batch.forget()
    await store.apply(pageview(0, country="FR"), event(1, country="DE"))
    assert await store.database.read("SELECT context > 0 FROM event ORDER BY id") == [(0,), (1,)]
