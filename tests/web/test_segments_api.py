"""Saved segments over HTTP: kept, asked with, renamed, forgotten."""

from typing import Any

import pytest

from tests.running import Running

SEGMENTS = "/api/v1/sites/segments"
FILTERS = [["is", "event:page", ["/segmented"]], ["not", ["is", "visit:country", ["DE"]]]]


def private(running: Running) -> dict[str, str]:
    return {"authorization": f"Bearer {running.private}"}


async def count(running: Running, *filters: Any) -> Any:
    body = {"metrics": ["visitors"], "date_range": "all", "filters": list(filters)}
    return await running.http.post("/api/v2/query", json=body, headers=private(running))


async def test_a_segment_is_kept_asked_renamed_and_forgotten(running: Running) -> None:
    headers = private(running)
    event = {"event": "pageview", "url": "https://example.com/segmented", "user_id": "segment-test"}
    assert (await running.send(event)).status_code == 202
    await running.drained()

    wanted = {"site_id": "example.com", "name": "Segmented", "filters": FILTERS}
    made = await running.http.put(SEGMENTS, json=wanted, headers=headers)
    assert made.status_code == 200, made.text
    segment = made.json()
    assert segment == {"id": segment["id"], "name": "Segmented", "filters": FILTERS, "domain": "example.com"}
    assert (await running.http.put(SEGMENTS, json=wanted, headers=headers)).json() == segment
    assert (await running.http.get(SEGMENTS, headers=headers)).json() == {"segments": [segment]}
    taken = await running.http.put(SEGMENTS, json={**wanted, "filters": FILTERS[:1]}, headers=headers)
    assert (taken.status_code, taken.json()["field"]) == (422, "name")

    answer = (await count(running, ["is", "segment", [segment["id"]]])).json()
    assert answer["results"] == (await count(running, *FILTERS)).json()["results"]
    assert answer["results"][0]["metrics"] == [1]
    assert answer["query"]["filters"] == [["and", FILTERS]]
    query = {"filters": f'[["is","segment",[{segment["id"]}]]]', "metrics": "visitors"}
    checked = await running.http.get("/api/v1/verify", params=query, headers=headers)
    assert checked.json()["equal"] is True

    path = f"{SEGMENTS}/{segment['id']}"
    renamed = await running.http.patch(path, json={"name": "Other"}, headers=headers)
    assert renamed.json() == {**segment, "name": "Other"}
    assert (await running.http.delete(path, headers=headers)).json() == {"deleted": True}
    assert (await running.http.delete(path, headers=headers)).status_code == 404
    assert (await running.http.patch(path, json={"name": "x"}, headers=headers)).status_code == 404
    unknown = await count(running, ["is", "segment", [segment["id"]]])
    assert (unknown.status_code, unknown.json()["pointer"]) == (400, "#/filters/0/2/0")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x"}, None),
        ({"name": "x", "filters": []}, None),
        ({"name": "", "filters": FILTERS}, None),
        ({"name": "x", "filters": [["is", "visit:planet", ["Mars"]]]}, "#/filters/0/1"),
        ({"name": "x", "filters": [["is", "segment", [1]]]}, "#/filters/0/1"),
        ({"name": "x", "filters": {"is": 1}}, None),
    ],
)
async def test_what_is_no_segment(running: Running, body: dict[str, Any], pointer: str | None) -> None:
    answer = await running.http.put(SEGMENTS, json=body, headers=private(running))
    assert answer.status_code == 422, answer.text
    assert answer.json().get("pointer") == pointer


async def test_who_may_not(running: Running) -> None:
    body = {"site_id": "other.example", "name": "x", "filters": FILTERS}
    assert (await running.http.put(SEGMENTS, json=body, headers=private(running))).status_code == 401
    public = {"authorization": f"Bearer {running.key}"}
    assert (await running.http.get(SEGMENTS, headers=public)).status_code == 403
    assert (await running.http.get(SEGMENTS)).status_code == 401
