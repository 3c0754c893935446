"""JSON that nests deeper than anything can mean: the decoder gives up on it, and the asker is told."""

from typing import Any

import pytest

from appliance.decoding import decode
from appliance.errors import Invalid
from tests.running import Running

DEEP = "[" * 5_000 + "]" * 5_000


def private(running: Running) -> dict[str, str]:
    return {"authorization": f"Bearer {running.private}"}


async def test_a_question(running: Running) -> None:
    body = f'{{"metrics": ["visitors"], "date_range": "day", "filters": {DEEP}}}'
    answer = await running.http.post("/api/v2/query", content=body, headers=private(running))
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "#: the body is nested too deeply", "code": "invalid_json", "pointer": "#",
    }  # fmt: skip


async def test_a_recount(running: Running) -> None:
    answer = await running.http.get("/api/v1/verify", params={"filters": DEEP}, headers=private(running))
    assert (answer.status_code, answer.json()["field"]) == (400, "filters")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("goals", f'{{"goal_type": "event", "event_name": "Signup", "more": {DEEP}}}'),
        ("funnels", f'{{"name": "A", "steps": {DEEP}}}'),
        ("funnels", f'{{"name": "A", "more": {DEEP}}}'),
    ],
)
async def test_what_a_site_keeps(running: Running, path: str, body: str) -> None:
    answer = await running.http.put(f"/api/v1/sites/{path}", content=body, headers=private(running))
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


@pytest.mark.parametrize("text", [DEEP, b"{", b"\xff", b'"\xff"', '{"a": 1} x', "", '"\\ud800"'])
def test_what_cannot_be_decoded(text: Any) -> None:
    with pytest.raises(Invalid, match="the list is n") as raised:
        decode(text, what="the list")
    assert (raised.value.status, raised.value.code) == (400, "invalid_json")
