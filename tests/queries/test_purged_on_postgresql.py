"""What is purged on a server: rollups go on to say what was, and say it of no one twice."""

from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import psycopg
import pytest

from appliance.clock import DAY
from appliance.errors import RawPurged
from appliance.queries import plan
from appliance.queries.filters import AllOf, Leaf
from appliance.queries.period import Times
from appliance.queries.question import Report
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted_on_servers
from appliance.storage.calendar import day_start, local_day
from appliance.storage.evaluation import BEGINNING, END
from appliance.storage.packing import unpack_numbers
from appliance.storage.postgresql.connection import work_connection
from appliance.storage.postgresql.rollups.erase import erase_from_final
from appliance.storage.postgresql.rollups.index import SELECT, final_starts, known, values_of
from appliance.storage.postgresql.rollups.job import forget, refresh
from appliance.storage.postgresql.rollups.marks import touch
from appliance.storage.retention import horizon
from appliance.storage.row_columns import SPAN
from tests.postgresql import Server
from tests.queries.test_purged_reports import KEPT_DAYS, OF_PEOPLE, is_told, whole_days
from tests.queries.test_reports import NOW, rows_of
from tests.queries.test_rollup_reports import counted, random_report
from tests.queries.test_units_on_postgresql import Served, on_server, sent, served, stopped_clock
from tests.seeds import seeds

__all__ = ["on_server", "stopped_clock"]


class Keeper:
    """Runs the jobs on a world as if it were some days after its end."""

    def __init__(self, there: Served) -> None:
        self.there = there
        self.now = there.world.end + 5 * DAY
        self.horizon = horizon(self.now, KEPT_DAYS, ZoneInfo(there.world.zone))
        with psycopg.connect(there.url) as connection:
            connection.execute("UPDATE project SET settings = %s", (f'{{"raw_retention_days":{KEPT_DAYS}}}',))

    def refresh(self) -> int:
        return len(list(refresh(self.there.url, CATALOG, wanted_on_servers, self.now)))

    def purge(self) -> int:
        """Take out visits that ended before the horizon, as a purge does; how many. All their days have to be final."""
        values = {"horizon": self.horizon, "near": self.horizon + SPAN}
        with psycopg.connect(self.there.url) as connection:
            rows = connection.execute(SELECT, values_of(1, [], BEGINNING, END)).fetchall()
            final = final_starts(known(rows), self.there.world.zone)
            first = min(visit.start for visit in self.there.world.place.visits)
            assert {day for day in whole_days(self.there.world) if first < day < self.horizon} <= final
            gone = 'SELECT v.id FROM visit v WHERE v.project_id = 1 AND v."end" < %(horizon)s'
            connection.execute(f"DELETE FROM event e WHERE e.time < %(near)s AND e.visit_id IN ({gone})", values)
            delete = 'DELETE FROM visit v WHERE v.project_id = 1 AND v."end" < %(horizon)s'
            removed = connection.execute(delete, values).rowcount
            connection.execute("UPDATE project SET raw_purged_before = %(horizon)s", values)
            touch(connection, 1, first, self.horizon - 1)
        return removed

    async def compare(self, random: Random, questions: int) -> None:
        there = self.there
        days = whole_days(there.world)
        for _ in range(questions):
            low, high = sorted(random.sample(days, 2))
            end = random.choice([high, high, there.world.end + 3 * DAY + 5]) if high > self.horizon else high
            scope = await there.reports.scope(there.world.place.project, Times(low, end), NOW)
            report = random_report(random, scope.range.days)
            if plan.rollup_of(report, scope) and is_told(report):
                answer = await there.reports.answer(scope, report)
                assert rows_of(answer) == counted(there.world.place, scope.range, report), (report, scope.range)


@pytest.mark.parametrize("seed", seeds(2, 40))
async def test_unfiltered_counts_of_whole_days_stay(tmp_path: Path, on_server: Server, seed: int) -> None:
    async with served(on_server, tmp_path, seed, visits=150, sampled=False) as there:
        keeper, random = Keeper(there), Random(seed)
        assert keeper.refresh()
        assert not keeper.refresh()
        await keeper.compare(random, 15)
        assert keeper.purge()
        await keeper.compare(random, 40)
        first = await there.engine.first_event(1)
        assert first is not None
        assert 0 <= min(visit.start for visit in there.world.place.visits) - first < DAY + DAY // 24
        here_before = [visit for visit in there.world.place.visits if visit.salt_day is None]
        for _ in range(8):
            visitor = random.choice([random.choice(here_before).visitor, random.randrange(2**62)])
            there.send(sent(random, visitor, None, random.randrange(keeper.horizon + 2 * DAY, there.world.end)))
        await keeper.compare(random, 20)
        assert there.marks()
        keeper.refresh()
        assert not there.marks()
        await keeper.compare(random, 20)
        forget(there.url)  # what cannot be made anew stays
        await keeper.compare(random, 20)


async def test_what_needs_raw_data_is_refused(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 1, visits=150, sampled=False) as there:
        keeper = Keeper(there)
        keeper.refresh()
        keeper.purge()
        of_pages = Report(("visitors",), ("event:page",))
        german = AllOf((Leaf("is", "visit:country", ("DE",)),))
        before = Times(keeper.horizon - 5 * DAY, keeper.horizon + 2 * DAY)
        for times, tree, report in [
            (before, german, of_pages),
            (before, AllOf(), Report(("visitors",), ("time:hour",))),
            (before, AllOf(), Report(("visits",), ("event:page",))),
            (Times(before.start + 1, before.end), AllOf(), of_pages),
        ]:
            scope = await there.reports.scope(there.world.place.project, times, NOW, tree)
            with pytest.raises(RawPurged, match="are purged"):
                await there.reports.answer(scope, report)
        for ask in OF_PEOPLE:
            with pytest.raises(RawPurged, match="are purged"):
                await ask(there.reports, await there.reports.scope(there.world.place.project, before, NOW))
            kept = Times(keeper.horizon, before.end)
            await ask(there.reports, await there.reports.scope(there.world.place.project, kept, NOW))
        # Where there are no rollups either there were no events.
        first, zone = await there.engine.first_event(1), ZoneInfo(there.world.zone)
        assert first is not None
        early = Times(day_start(local_day(first, zone) - 7, zone), first)
        scope = await there.reports.scope(there.world.place.project, early, NOW)
        assert rows_of(await there.reports.answer(scope, Report(("visitors", "events"), ()))) == [([], [0, 0])]


async def test_who_is_erased_is_in_no_list_of_final_units(tmp_path: Path, on_server: Server) -> None:
    async with served(on_server, tmp_path, 1, visits=150, sampled=False) as there:
        keeper = Keeper(there)
        keeper.refresh()
        keeper.purge()
        known_by_name = {visit.visitor for visit in there.world.place.visits if visit.salt_day is None}
        before = visitors_of(there, final=1)
        gone = sorted(known_by_name & before)[:2]
        report = Report(("events", "visits"), ())
        days = Times(whole_days(there.world)[0], keeper.horizon)
        scope = await there.reports.scope(there.world.place.project, days, NOW)
        told = rows_of(await there.reports.answer(scope, report))
        with work_connection(there.url) as connection:
            assert erase_from_final(connection, 1, gone) > 0
            assert erase_from_final(connection, 1, gone) == 0
        assert visitors_of(there, final=1) == before - set(gone)
        assert rows_of(await there.reports.answer(scope, report)) == told
        seen = rows_of(await there.reports.answer(scope, Report(("visitors",), ())))
        ((_, [visitors]),) = counted(there.world.place, scope.range, Report(("visitors",), ()))
        assert seen == [([], [visitors - len(gone)])]


def visitors_of(there: Served, *, final: int) -> set[int]:
    """Those who are kept by identity."""
    select = (
        "SELECT c.data FROM rollup_column c JOIN rollup r ON r.id = c.rollup_id"
        " WHERE c.name = 'visitors' AND r.final = %s"
    )
    with psycopg.connect(there.url) as connection:
        found = connection.execute(select, (final,)).fetchall()
    return {visitor for (data,) in found for visitor in unpack_numbers(data).tolist()}
