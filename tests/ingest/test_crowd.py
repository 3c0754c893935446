"""From how many addresses browsers seem to come."""

import pytest

from appliance.clock import HOUR
from appliance.ingest.crowd import REQUESTS_KEPT, REQUESTS_MIN, Crowd, Look

NOW = 1_760_000_000_000_000


@pytest.mark.parametrize(
    ("addresses", "look", "one"),
    [
        ([], Look(0, 0, False), False),
        (["172.17.0.1"] * REQUESTS_MIN, Look(REQUESTS_MIN, 1, True), True),
        (["172.17.0.1"] * (REQUESTS_MIN - 1), Look(REQUESTS_MIN - 1, 1, True), False),
        (["8.8.8.8"] * REQUESTS_MIN, Look(REQUESTS_MIN, 1, False), True),
        (["172.17.0.1"] * 50 + ["172.17.0.2"], Look(51, 2, True), False),
        (["1.1.1.1"] * 50 + ["10.0.0.1"] * REQUESTS_KEPT, Look(REQUESTS_KEPT, 1, True), True),
        ([f"203.0.113.{n}" for n in range(100)], Look(100, 100, False), False),
        (["nonsense"] * 30, Look(30, 1, False), True),
    ],
)
def test_what_is_seen(addresses: list[str], look: Look, one: bool) -> None:
    crowd = Crowd()
    for address in addresses:
        crowd.add(address, NOW)
    assert crowd.look(NOW) == look
    assert crowd.look(NOW).is_one is one


def test_an_hour_later_it_is_forgotten() -> None:
    crowd = Crowd()
    for _ in range(30):
        crowd.add("10.0.0.1", NOW)
    crowd.add("10.0.0.2", NOW + HOUR // 2)
    assert crowd.look(NOW + HOUR) == Look(1, 1, True)
    assert crowd.look(NOW + 2 * HOUR) == Look(0, 0, True)
