"""Goals over HTTP, and questions about them."""

from typing import Any

from tests.running import Running

GOALS = "/api/v1/sites/goals"


async def ask(running: Running, **fields: Any) -> Any:
    body = {"date_range": "day", **fields}
    return await running.http.post("/api/v2/query", json=body, headers=private(running))


def private(running: Running) -> dict[str, str]:
    return {"authorization": f"Bearer {running.private}"}


async def test_a_goal_is_made_asked_about_and_forgotten(running: Running) -> None:
    headers = private(running)
    unknown = await ask(running, metrics=["visitors"], filters=[["is", "event:goal", ["Bought"]]])
    assert (unknown.status_code, unknown.json()["pointer"]) == (400, "#/filters/0/2/0")

    wanted = {"site_id": "example.com", "goal_type": "event", "event_name": "Goal reached", "display_name": "Bought"}
    made = await running.http.put(GOALS, json=wanted, headers=headers)
    assert made.status_code == 200
    goal = made.json()
    assert (goal["goal_type"], goal["event_name"], goal["page_path"]) == ("event", "Goal reached", None)
    assert (await running.http.put(GOALS, json=wanted, headers=headers)).json() == goal
    assert (await running.http.get(GOALS, headers=headers)).json() == {"goals": [goal]}

    event = {"event": "Goal reached", "url": "https://example.com/x", "user_id": "goal-test"}
    event |= {"revenue": {"amount": "12.50", "currency": "EUR"}, "properties": {"plan": "pro"}}
    assert (await running.send(event)).status_code == 202
    await running.drained()
    metrics = ["visitors", "conversion_rate", "total_revenue"]
    answer = await ask(
        running,
        metrics=metrics,
        dimensions=["event:goal", "event:props:plan"],
        filters=[["has_done", ["is", "event:goal", ["Bought"]]]],
    )
    money = {"value": 12.5, "currency": "EUR", "short": "€12.50", "long": "€12.50"}
    assert answer.json()["results"] == [{"dimensions": ["Bought", "pro"], "metrics": [1, 100.0, money]}]

    path = f"{GOALS}/{goal['id']}"
    assert (await running.http.delete(path, headers=headers)).json() == {"deleted": True}
    assert (await running.http.delete(path, headers=headers)).status_code == 404
    assert (await running.http.get(GOALS, headers=headers)).json() == {"goals": []}


async def test_what_is_no_goal_and_who_may_not(running: Running) -> None:
    for body in (b"{", b"[]", b'{"goal_type": 1}', b'{"goal_type": "page", "page_path": "blog"}'):
        answer = await running.http.put(GOALS, content=body, headers=private(running))
        assert answer.status_code == 422, body
    elsewhere = {"site_id": "other.example", "goal_type": "event", "event_name": "x"}
    assert (await running.http.put(GOALS, json=elsewhere, headers=private(running))).status_code == 401
    public = {"authorization": f"Bearer {running.key}"}
    assert (await running.http.get(GOALS, headers=public)).status_code == 403
    assert (await running.http.get(GOALS)).status_code == 401
