"""Who else speaks the native format: system C, with its request as it documented it."""

from tests.ingest.test_endpoint import newest, text_of
from tests.running import INGEST, Running

DOCUMENTED = """{
  "events": [
    {
      "event": "page_view",
      "properties": { "path": "/pricing" },
      "distinct_id": "user_42",
      "session_id": "sess_xyz",
      "page_url": "https://example.com/pricing",
      "referrer": "https://google.com",
      "timestamp": "2026-02-10T12:00:00Z"
    }
  ]
}"""


async def test_the_documented_request_of_system_c(running: Running) -> None:
    answer = await running.http.post(INGEST, content=DOCUMENTED, headers={"x-api-key": running.key})
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "accepted", "accepted": 1, "duplicates": 0, "sampled": False, "dropped": [], "rejected": [],
    }  # fmt: skip
    assert await newest(running, "time", "kind", "properties") == (1770724800_000000, 0, '{"path":"/pricing"}')
    texts = [await text_of(running, column, number) for column, number in (("name", 1), ("path", 4), ("user", 6))]
    assert texts == ["page_view", "/pricing", "user_42"]
    assert await text_of(running, "referrer_source", 9, "visit") == "Google"
