"""A dashboard over days whose raw data are gone: what is still known of them, and what is not."""

from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.rollups.catalog import CATALOG
from appliance.rollups.units import wanted
from appliance.storage.sqlite.chunks.seal import seal_settled
from appliance.storage.sqlite.removal.purge import purge_all
from appliance.storage.sqlite.rollups.job import refresh
from appliance.storage.sqlite.writer import WriteConnection
from tests.web.administration import words
from tests.web.dashboards import NOW, SITE, Dashboards, card, figures, opened, rows


def purge(dashboards: Dashboards, days: int) -> int:
    """Run the jobs for a site that keeps so many days; how many visits went."""
    path = dashboards.folder / "appliance.db"
    connection = WriteConnection(path)

    def transact(work: Any) -> Any:
        return connection.transaction(work, durable=False)

    setting = f"UPDATE project SET settings = json_set(settings, '$.raw_retention_days', {days})"
    transact(lambda c: c.execute(setting))
    list(seal_settled(transact, NOW))
    list(refresh(path, CATALOG, wanted, NOW))
    removed = sum(step.visits for step in purge_all(transact, NOW))
    connection.close()
    return removed


async def test_what_is_known_of_purged_days_is_shown_and_the_rest_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with opened(tmp_path) as dashboards:
        await dashboards.site()
        reader = await dashboards.owner()
        before = await reader.get(SITE)
        assert figures(before)["Visitors"] == "5"
        pages = [rows(before, "pages"), rows(before, "sources"), rows(before, "devices")]
        assert purge(dashboards, 7) == 4  # those of 10 March and before
        after = await reader.get(SITE)
        assert after.status_code == 200
        assert figures(after) == figures(before)
        assert [rows(after, "pages"), rows(after, "sources"), rows(after, "devices")] == pages
        filtered = await reader.get(f"{SITE}?f=is:visit:country:FR")
        assert filtered.status_code == 400
        assert "purged" in words(filtered)
        week = await reader.get(f"{SITE}?period=7d&compare=off&f=is:visit:country:FR")
        assert week.status_code == 200
        assert figures(week)["Visitors"] == "3"
        # Reports about people say from when on they know anybody, and tell nothing in part.
        assert (await reader.get(f"{SITE}/retention")).status_code == 400
        for report in ("retention", "users"):
            of_week = await reader.get(f"{SITE}/{report}?period=7d")
            assert of_week.status_code == 200
            assert "Visits that ended before 11 Mar 2026 are gone" in words(of_week)
        assert "are gone" not in words(await reader.get(f"{SITE}/events?period=7d"))
        goals = await reader.get(f"{SITE}?events=event:goal")
        assert goals.status_code == 200
        assert "Not kept for this period" in card(goals, "events")
