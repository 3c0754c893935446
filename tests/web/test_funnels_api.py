"""Saved funnels over HTTP."""

from typing import Any

import pytest

from tests.running import Running

FUNNELS = "/api/v1/sites/funnels"
STEPS = [{"on": "page", "step": "/pricing"}, {"on": "event", "step": "Signup", "where": "visit:country", "value": "DE"}]


def private(running: Running) -> dict[str, str]:
    return {"authorization": f"Bearer {running.private}"}


async def test_a_funnel_is_kept_listed_and_forgotten(running: Running) -> None:
    headers = private(running)
    wanted = {"site_id": "example.com", "name": "Sign-ups", "steps": STEPS, "within": "7d"}
    made = await running.http.put(FUNNELS, json=wanted, headers=headers)
    assert made.status_code == 200
    funnel = made.json()
    assert (funnel["name"], funnel["within"], funnel["strict"]) == ("Sign-ups", "7d", False)
    assert funnel["steps"] == [{**STEPS[0], "where": None, "value": None}, STEPS[1]]
    assert (await running.http.put(FUNNELS, json=wanted, headers=headers)).json() == funnel
    assert (await running.http.get(FUNNELS, headers=headers)).json() == {"funnels": [funnel]}
    taken = await running.http.put(FUNNELS, json={**wanted, "strict": True}, headers=headers)
    assert (taken.status_code, taken.json()["field"]) == (422, "name")
    path = f"{FUNNELS}/{funnel['id']}"
    assert (await running.http.delete(path, headers=headers)).json() == {"deleted": True}
    assert (await running.http.delete(path, headers=headers)).status_code == 404
    assert (await running.http.get(FUNNELS, headers=headers)).json() == {"funnels": []}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "steps": STEPS[:1]},
        {"name": "x", "steps": [STEPS[0], {"on": "click", "step": "a"}]},
        {"name": "x", "steps": [STEPS[0], {"on": "page", "step": "/", "where": "visit:planet", "value": "a"}]},
        {"name": "x", "steps": [STEPS[0], {"on": "page", "step": "/", "where": "visit:country", "value": "Germany"}]},
        {"name": "x", "steps": STEPS, "within": "2d"},
        {"name": "", "steps": STEPS},
    ],
)
async def test_what_is_no_funnel(running: Running, body: dict[str, Any]) -> None:
    answer = await running.http.put(FUNNELS, json=body, headers=private(running))
    assert answer.status_code == 422, answer.text


async def test_who_may_not(running: Running) -> None:
    body = {"site_id": "other.example", "name": "x", "steps": STEPS}
    assert (await running.http.put(FUNNELS, json=body, headers=private(running))).status_code == 401
    public = {"authorization": f"Bearer {running.key}"}
    assert (await running.http.get(FUNNELS, headers=public)).status_code == 403
    assert (await running.http.get(FUNNELS)).status_code == 401
