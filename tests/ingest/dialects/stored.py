"""What became of what was sent, as the exports tell it."""

import json
from typing import Any

from appliance.storage.dimensions import DICTIONARIES
from tests.running import Running

USER = DICTIONARIES["user"]
Row = dict[str, Any]


async def export(running: Running, dataset: str) -> list[Row]:
    await running.drained()
    answer = await running.http.get(
        "/api/v1/export",
        params={"dataset": dataset, "format": "ndjson"},
        headers={"authorization": f"Bearer {running.private}"},
    )
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def event(running: Running, event_id: str) -> Row:
    """The stored event with that id; it is there once."""
    (row,) = [row for row in await export(running, "events") if row["event_id"] == event_id]
    return row


async def events_of(running: Running, user: str) -> list[Row]:
    return [row for row in await export(running, "events") if row.get("user_id") == user]


async def visits_with(running: Running, *event_ids: str) -> list[Row]:
    """The visits in which those events stand, each once."""
    visits = {row["visit_id"] for row in await export(running, "events") if row["event_id"] in event_ids}
    return [row for row in await export(running, "visits") if row["visit_id"] in visits]


async def traits(running: Running, user: str) -> Any:
    await running.drained()
    rows = await running.appliance.database.read(
        "SELECT t.traits FROM user_trait t JOIN dictionary d"
        " ON d.project_id = t.project_id AND d.code = t.user AND d.dimension = :user WHERE d.text = :name",
        {"user": USER, "name": user},
    )
    return json.loads(rows[0][0]) if rows else None
