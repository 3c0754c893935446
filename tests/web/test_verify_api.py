"""Figures counted again, over HTTP and on the command line, beside a running appliance."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from appliance.cli import cli
from tests.running import Running

VERIFY = "/api/v1/verify"


async def ask(running: Running, **wanted: str) -> Any:
    headers = {"authorization": f"Bearer {running.private}"}
    return await running.http.get(VERIFY, params={"date_range": "day", **wanted}, headers=headers)


@pytest.fixture
async def visited(running: Running) -> Running:
    for path, user in (("/verified", "v-ann"), ("/verified", "v-bob"), ("/verified/more", "v-ann")):
        url = f"https://example.com{path}"
        assert (await running.send({"event": "pageview", "url": url, "user_id": user})).status_code == 202
    await running.drained()
    return running


async def test_an_overview_and_a_breakdown_are_counted_again(visited: Running) -> None:
    overview = (await ask(visited)).json()
    assert overview["equal"] is overview["settled"] is True
    (row,) = overview["results"]
    assert row["metrics"] == row["recounted"]
    assert overview["metrics"][0] == "visitors"
    assert row["metrics"][0] >= 2
    pages = (
        await ask(
            visited,
            metrics="visitors,time_on_page",
            dimensions="event:page",
            filters='[["contains", "event:page", ["/verified"]]]',
        )
    ).json()
    assert [(row["dimensions"], row["metrics"][0], row["recounted"][0], row["equal"]) for row in pages["results"]] == [
        (["/verified"], 2, 2, True),
        (["/verified/more"], 1, 1, True),
    ]


async def test_who_sends_the_label_of_a_missing_value_has_sent_none(running: Running) -> None:
    label = {"visit:utm_source": "(not set)", "event:props:plan": "(none)"}
    for path, utm, plan in (("/l", "(not set)", {"plan": "(none)"}), ("/l", "", {}), ("/l", "News", {"plan": "pro"})):
        url = f"https://example.com{path}?utm_source={utm}"
        sent = {"event": "pageview", "url": url, "user_id": f"l-{utm}", "properties": plan}
        assert (await running.send(sent)).status_code == 202
    await running.drained()
    today = datetime.now(UTC).date().isoformat()
    of_page = '["is", "event:page", ["/l"]]'
    private = {"authorization": f"Bearer {running.private}"}
    for dimension, shown in label.items():
        listed = (await ask(running, metrics="visitors", dimensions=dimension, filters=f"[{of_page}]")).json()
        assert listed["equal"] is True
        assert {row["dimensions"][0]: row["metrics"][0] for row in listed["results"]}[shown] == 2
        assert len(listed["results"]) == 2
        alone = f'[{of_page}, ["is", "{dimension}", ["{shown}"]]]'
        assert (await ask(running, metrics="visitors", filters=alone)).json()["results"][0]["metrics"][0] == 2
        question = {
            "metrics": ["visitors"], "date_range": "day", "dimensions": [dimension],
            "filters": [["is", "event:page", ["/l"]]],
            "include": {"comparisons": {"mode": "custom", "date_range": [today] * 2}},
        }  # fmt: skip
        rows = (await running.http.post("/api/v2/query", json=question, headers=private)).json()["results"]
        assert [(row["metrics"], row["comparison"]["metrics"]) for row in rows] == [([2], [2]), ([1], [1])]


async def test_the_documented_answer_has_the_fields_of_the_real_one(visited: Running) -> None:
    verify = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8").partition("## Verify")[2]
    documented = json.loads(verify.partition("```json")[2].partition("```")[0])
    answer = (await ask(visited, metrics="visitors,bounce_rate", dimensions="visit:source")).json()
    assert list(documented) == list(answer)
    assert list(documented["results"][0]) == list(answer["results"][0])


async def test_a_figure_that_is_wrong_is_seen(visited: Running) -> None:
    database = visited.appliance.database
    wanted = {"metrics": "visitors,views_per_visit"}
    before = (await ask(visited, **wanted)).json()
    ((visit,),) = await database.read("SELECT max(id) FROM visit")
    for more, is_equal in ((100, False), (-100, True)):
        await database.write_all(
            [
                ("UPDATE visit SET pageviews = pageviews + :more WHERE id = :id", {"more": more, "id": visit}),
                ("INSERT INTO change (visits) VALUES (json_array(:id))", {"id": visit}),
            ]
        )
        found = (await ask(visited, **wanted)).json()
        assert found["equal"] is found["results"][0]["equal"] is is_equal
        assert found["results"][0]["recounted"] == before["results"][0]["metrics"]


async def test_estimates_are_counted_again_as_estimates(visited: Running) -> None:
    database = visited.appliance.database
    wanted = {"metrics": "events,visitors,bounce_rate"}
    (before,) = (await ask(visited, **wanted)).json()["results"]
    ((event,),) = await database.read("SELECT max(id) FROM event")
    for rate, more, bounds in ((250_000, 3, ["visitors"]), (1_000_000, 0, [])):
        await database.write_all(
            [
                ("UPDATE event SET rate = :rate WHERE id = :id", {"rate": rate, "id": event}),
                ("INSERT INTO change (events) VALUES (json_array(:id))", {"id": event}),
            ]
        )
        found = (await ask(visited, **wanted)).json()
        assert (found["sampled"], found["lower_bounds"]) == (bool(more), bounds)
        (row,) = found["results"]
        assert row["metrics"] == row["recounted"] == [before["metrics"][0] + more, *before["metrics"][1:]]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"metrics": "joy"}, "#/metrics/0"),
        ({"date_range": "29d"}, "#/date_range"),
        ({"dimensions": "visit:nothing"}, "#/dimensions/0"),
        ({"filters": "["}, "filters"),
        ({"filters": '[["is"]]'}, "#/filters/0"),
        ({"limit": "many"}, "limit"),
        ({"limit": "0"}, "#/pagination/limit"),
    ],
)
async def test_what_cannot_be_asked(running: Running, wanted: dict[str, str], field: str) -> None:
    answer = await ask(running, **wanted)
    assert answer.status_code == 400
    assert field in (answer.json().get("pointer"), answer.json().get("field"))


async def test_only_a_private_key_may_ask(running: Running) -> None:
    assert (await running.http.get(VERIFY)).status_code == 401
    assert (await running.http.get(VERIFY, headers={"x-api-key": running.key})).status_code == 403


async def command(running: Running, *arguments: str) -> Result:
    folder = str(running.appliance.settings.data_dir)
    everything = ["--data-dir", folder, "verify", "example.com", "--date-range", "day", *arguments]
    return await asyncio.to_thread(CliRunner().invoke, cli, everything)


async def test_the_command_line_says_the_same(visited: Running) -> None:
    done = await command(visited, "--metrics", "visitors,visits", "--dimensions", "event:page", "--json")
    assert done.exit_code == 0, done.output
    answer = (await ask(visited, metrics="visitors,visits", dimensions="event:page")).json()
    assert json.loads(done.stdout) == answer
    lines = (await command(visited, "--metrics", "visitors", "--dimensions", "event:page")).stdout.splitlines()
    assert any(line.startswith("ok") and "/verified visitors: 2 counted 2" in line for line in lines)
