"""What is wrong with a question over HTTP: where in its body, and who may not ask at all."""

from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.errors import Invalid, QueryTimeout
from appliance.queries import beside
from appliance.storage import keys
from appliance.web.api import stats
from tests.running import Running
from tests.web.dashboards import NOW, VISITS, opened
from tests.web.test_damaged import Place
from tests.web.test_dashboard_purged import purge

QUERY = "/api/v2/query"


async def ask(running: Running, **fields: Any) -> Any:
    body = {"metrics": ["visitors"], "date_range": "day", **fields}
    return await running.http.post(QUERY, json=body, headers={"authorization": f"Bearer {running.private}"})


def fault(answer: Any) -> tuple[int, str]:
    """Where an answer says that the fault is; it is the API's own sentence with the pointer before it."""
    said = answer.json()
    assert set(said) == {"error", "code", "pointer"}
    assert said["error"].startswith(f"{said['pointer']}: ")
    return answer.status_code, said["pointer"]


# ---------------------------------------------------------------------- what only the range and the data tell


async def test_too_many_buckets(running: Running) -> None:
    assert fault(await ask(running, date_range="12mo", dimensions=["time:minute"])) == (400, "#/dimensions")
    comparisons = {"mode": "custom", "date_range": ["2020-01-01", "2025-01-01"]}
    answer = await ask(running, dimensions=["time:hour"], include={"comparisons": comparisons})
    assert fault(answer) == (400, "#/include/comparisons/date_range")
    wanted = {"metrics": "visitors", "dimensions": "time:minute", "date_range": "12mo"}
    headers = {"authorization": f"Bearer {running.private}"}
    recount = await running.http.get("/api/v1/verify", params=wanted, headers=headers)
    assert (recount.status_code, recount.json()["pointer"]) == (400, "#/dimensions")


async def test_too_many_groups_to_compare(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "ROWS_MAX", 0)
    answer = await ask(running, include={"comparisons": {"mode": "previous_period"}})
    assert fault(answer) == (400, "#/dimensions")


async def test_a_pattern_that_the_worker_refuses(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: object) -> None:
        raise Invalid("not a regular expression", code="invalid_pattern")

    monkeypatch.setattr(running.appliance.evaluator, "ask", refuse)
    assert fault(await ask(running)) == (400, "#/filters")


async def test_what_is_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    async with opened(tmp_path) as dashboards:
        dashboards.app.router.routes[:0] = stats.routes()
        made = await dashboards.project("example.com", timezone="Europe/Berlin", private_key=True)
        dashboards.store(event for visit in VISITS for event in visit.events(made.project))
        purge(dashboards, 7)  # what is before 11 March
        place = Place(dashboards, made.private_key)
        body: dict[str, Any] = {"metrics": ["visitors"], "filters": [["is", "visit:country", ["DE"]]]}
        assert fault(await place.post({**body, "date_range": "28d"})) == (400, "#/date_range")
        beside_it = {
            "date_range": ["2026-03-12", "2026-03-17"],
            "include": {"comparisons": {"mode": "previous_period"}},
        }
        assert fault(await place.post({**body, **beside_it})) == (400, "#/include/comparisons")
        assert (await place.post({**body, "date_range": ["2026-03-12", "2026-03-17"]})).status_code == 200


async def test_names_in_pointers_are_escaped(running: Running) -> None:
    assert fault(await ask(running, **{"a/b~c": 1})) == (400, "#/a~1b~0c")


# ---------------------------------------------------------------------- who may not ask, and what is too much


async def test_who_may_not_ask(running: Running) -> None:
    body = {"metrics": ["visitors"], "date_range": "day"}
    for headers, status, code in (
        ({}, 401, "missing_key"),
        ({"authorization": "Bearer sa_priv_" + "0" * 32}, 401, "unknown_key"),
        ({"x-api-key": running.key}, 403, "public_key"),
    ):
        answer = await running.http.post(QUERY, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = await ask(running, site_id="elsewhere.example")
    assert (answer.status_code, answer.json()["pointer"]) == (401, "#/site_id")


async def test_a_key_that_may_not_read(running: Running) -> None:
    project = running.project
    key = await keys.mint(
        running.appliance.database,
        project.public_id,
        "private",
        name="to manage",
        scopes=["manage"],
        actor="test",
        at=clock.now(),
    )
    answer = await running.http.post(QUERY, json={}, headers={"authorization": f"Bearer {key.token}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope")


async def test_a_body_that_is_too_large(running: Running) -> None:
    answer = await ask(running, site_id="x" * stats.BODY_BYTES_MAX)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_question_that_takes_too_long(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(_: object) -> None:
        raise QueryTimeout("the question took longer than 30 seconds")

    monkeypatch.setattr(running.appliance.evaluator, "ask", wait)
    answer = await ask(running)
    assert (answer.status_code, answer.json()["code"]) == (503, "query_timeout")
    assert answer.headers["retry-after"] == "5"
