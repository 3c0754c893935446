"""Which units answer where raw data are gone, and what is said where none does."""

import pytest

from appliance.clock import DAY
from appliance.errors import RawPurged
from appliance.storage.evaluation import Rolled
from appliance.storage.units.covering import check_purged, chosen
from appliance.storage.worker.pipe import Unit

PURGED = 20_003 * DAY
ASKED = Rolled(("total",), timezone="UTC", of_visits=False)


def final(day: int, *, usable: bool = True) -> Unit:
    return Unit(day, day, 1, day * DAY, (day + 1) * DAY, "UTC", usable=usable, final=True)


def test_a_final_day_answers_for_itself() -> None:
    known = [final(20_001), final(20_002)]
    span = (20_000 * DAY, PURGED)
    check_purged(ASKED, span, known, PURGED)
    assert chosen(ASKED, span, known, PURGED, lambda unit: True) == known


def test_of_a_day_with_sampled_events_it_is_said_that_nothing_is_kept() -> None:
    known = [final(20_001), final(20_002, usable=False)]
    check_purged(ASKED, (20_001 * DAY, 20_002 * DAY), known, PURGED)
    with pytest.raises(RawPurged, match="of days with sampled events no counts are kept"):
        check_purged(ASKED, (20_001 * DAY, PURGED), known, PURGED)
    with pytest.raises(RawPurged, match="only whole days are known"):
        check_purged(ASKED, (20_001 * DAY + 1, 20_002 * DAY), known, PURGED)
