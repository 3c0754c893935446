"""How a question may be written over HTTP, and what is said of what may not."""

import gzip
import json
from typing import Any

import pytest

from appliance.web.api import sites, stats
from tests.running import Running
from tests.web.test_query_faults import QUERY, ask, fault


def private(running: Running, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {running.private}", **more}


@pytest.mark.parametrize("name", ["dimensions", "include", "pagination", "filters", "order_by", "site_id"])
async def test_null_is_absent(running: Running, name: str) -> None:
    assert (await ask(running, **{name: None})).json() == (await ask(running)).json()


@pytest.mark.parametrize(
    "fields",
    [
        {"pagination": {"limit": None, "offset": None}},
        {"include": {"imports": None, "time_labels": None, "total_rows": None, "comparisons": None}},
        {"include": {"comparisons": {"mode": "previous_period", "date_range": None, "match_day_of_week": None}}},
        {"filters": [["is", "visit:country", ["DE"], {"case_sensitive": None}]]},
    ],
)
async def test_null_inside_is_absent(running: Running, fields: dict[str, Any]) -> None:
    assert (await ask(running, **fields)).status_code == 200


@pytest.mark.parametrize("name", ["dimensions", "filters", "order_by", "include", "pagination"])
@pytest.mark.parametrize("value", ["", 0, False])
async def test_what_is_empty_in_another_way_is_wrong(running: Running, name: str, value: Any) -> None:
    assert fault(await ask(running, **{name: value})) == (400, f"#/{name}")


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        ({"filters": {}}, "#/filters", "a list of filters is expected"),
        ({"order_by": {}}, "#/order_by", "a list is expected"),
        ({"metrics": None}, "#/metrics", "metrics is missing"),
        ({"date_range": None}, "#/date_range", "date_range is missing"),
        ({"filters": [[None, "visit:os", ["x"]]]}, "#/filters/0/0", "null is not an operator of filters"),
        ({"filters": [[{"a": 1}, "visit:os", ["x"]]]}, "#/filters/0/0", '{"a":1} is not an operator of filters'),
        ({"filters": [["and"]]}, "#/filters/0", '"and" takes one argument'),
        ({"filters": [["matches", "visit:os", ["it's ("]]]}, "#/filters/0/2/0", '"it\'s (": not a regular expression'),
        ({"order_by": [[{"a": 1}, "asc"]]}, "#/order_by/0/0", "a metric or dimension is expected"),
        ({"order_by": [["visits", "asc"]]}, "#/order_by/0/0", '"visits" is neither a metric nor a dimension'),
        ({"order_by": [["visitors", "asc"], ["visitors", "desc"]]}, "#/order_by/1/0", '"visitors" is there twice'),
        ({"metrics": ["joy"]}, "#/metrics/0", '"joy" is not a metric'),
        ({"metrics": ["visitors", "visitors"]}, "#/metrics/1", '"visitors" is there twice'),
        ({"dimensions": ["visit:mood"]}, "#/dimensions/0", '"visit:mood" is not a dimension'),
        ({"pagination": {"limit": 10.0}}, "#/pagination/limit", "a whole number from 1 to 10000 is expected"),
        ({"pagination": {"offset": 2**31}}, "#/pagination/offset", "a whole number from 0 to 2147483647 is expected"),
        ({"date_range": "30m"}, "#/date_range", '"30m" is not a period; use one of 24h, day,'),
        ({"date_range": "2 days"}, "#/date_range", '"2 days" is not a period; use one of 24h, day,'),
        ({"date_range": ["1 May", "2 May"]}, "#/date_range", '"1 May" is not a timestamp'),
        ({"filters": [["is", "visit:country", ["Germany"]]]}, "#/filters/0/2/0", "a country is two letters"),
        ({"more": 1}, "#/more", '"more" is not known here'),
    ],
)
async def test_a_fault_is_said_in_the_words_of_json(
    running: Running, fields: dict[str, Any], pointer: str, said: str
) -> None:
    answer = await ask(running, **fields)
    assert fault(answer) == (400, pointer)
    assert answer.json()["error"].startswith(f"{pointer}: {said}")


async def test_a_countrys_code_may_be_written_in_small_letters(running: Running) -> None:
    answer = await ask(running, filters=[["is", "visit:country", ["de", "Fr"]]])
    assert answer.json()["query"]["filters"] == [["is", "visit:country", ["DE", "FR"]]]


async def test_a_slash_at_the_end_is_the_same(running: Running) -> None:
    body = {"metrics": ["visitors"], "date_range": "day"}
    answer = await running.http.post(f"{QUERY}/", json=body, headers=private(running))
    assert (answer.status_code, answer.json()) == (200, (await ask(running)).json())
    for path in ("/api/v1/sites/goals/", "/api/v1/sites/funnels/", "/api/v1/verify/", "/api/v1/export/"):
        assert (await running.http.get(path, headers=private(running))).status_code == 200
    assert (await running.http.get(f"{QUERY}/", headers=private(running))).status_code == 405


async def test_bodies_may_be_compressed(running: Running) -> None:
    body = json.dumps({"metrics": ["visitors"], "date_range": "day"}).encode()
    for encoding in ({"content-encoding": "gzip"}, {"content-encoding": "identity"}, {}):
        content = body if encoding.get("content-encoding") == "identity" else gzip.compress(body, mtime=0)
        answer = await running.http.post(QUERY, content=content, headers=private(running, **encoding))
        assert (answer.status_code, answer.json()) == (200, (await ask(running)).json())
    goal = gzip.compress(b'{"goal_type": "event", "event_name": "Packed"}', mtime=0)
    headers = private(running) | {"content-encoding": "gzip"}
    made = await running.http.put("/api/v1/sites/goals", content=goal, headers=headers)
    assert made.status_code == 200
    await running.http.delete(f"/api/v1/sites/goals/{made.json()['id']}", headers=headers)


@pytest.mark.parametrize(
    ("content", "encoding", "status", "code"),
    [
        (gzip.compress(b" " * (stats.BODY_BYTES_MAX + 1), mtime=0), "gzip", 413, "body_too_large"),
        (gzip.compress(b"{}", mtime=0)[:-9], "gzip", 400, "malformed_gzip"),
        (b"{}", "gzip", 400, "malformed_gzip"),
        (b"{}", "br", 415, "unsupported_encoding"),
    ],
)
async def test_what_is_not_compressed_well(
    running: Running, content: bytes, encoding: str, status: int, code: str
) -> None:
    headers = private(running) | {"content-encoding": encoding}
    answer = await running.http.post(QUERY, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    packed = gzip.compress(b" " * (sites.BODY_BYTES_MAX + 1), mtime=0)
    answer = await running.http.put("/api/v1/sites/goals", content=packed, headers=private(running))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
