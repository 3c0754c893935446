"""What of an event is told to those who stream it, and how."""

from typing import Any

import msgspec
import pytest

from appliance.ingest.batch import Placed
from appliance.ingest.event_text import event_text
from tests.builders import START, event


def told(session_id: str = "", **fields: Any) -> dict[str, Any]:
    text = event_text(Placed(event(**fields), 77, 1, session_id))
    assert b"\n" not in text and b"\r" not in text
    decoded: dict[str, Any] = msgspec.json.decode(text)
    return decoded


@pytest.mark.parametrize(
    ("hostname", "path", "url"),
    [
        ("example.com", "/a/b", "https://example.com/a/b"),
        ("example.com", "", "https://example.com"),
        ("", "/a", "/a"),
        ("", "", None),
        ("[::1]", "/", "https://[::1]/"),
        ("example.com", '/ä "#x', 'https://example.com/ä "#x'),
    ],
)
def test_a_page_is_named_as_far_as_it_is_known(hostname: str, path: str, url: str | None) -> None:
    assert told(hostname=hostname, path=path)["page_url"] == url


def test_a_visit_is_named_by_its_session_id_or_number() -> None:
    assert told()["session_id"] == "77"
    assert told("sess_xyz")["session_id"] == "sess_xyz"


@pytest.mark.parametrize(
    ("later", "timestamp"),
    [(0, "2026-03-02T12:00:00Z"), (1, "2026-03-02T12:00:00.000001Z"), (-START - 1, "1969-12-31T23:59:59.999999Z")],
)
def test_times_are_utc_to_the_microsecond(later: int, timestamp: str) -> None:
    assert told(time=START + later, salt_day=0)["timestamp"] == timestamp


def test_properties_are_an_object_and_what_is_empty_is_null() -> None:
    assert told()["properties"] == {}
    assert told(properties='{"a":[1,"\\n\\u2028"],"b":{}}')["properties"] == {"a": [1, "\n\u2028"], "b": {}}
    empty = told(browser="", country="")
    names = ("distinct_id", "referrer", "country", "browser", "os", "device")
    assert {empty[name] for name in names} == {None}
    assert told(user_id="u")["distinct_id"] == "u"


@pytest.mark.parametrize(
    ("stored", "url"),
    [
        ("google.com", "https://google.com"),
        ("example.com/a:b://c", "https://example.com/a:b://c"),
        ("[::1]/x", "https://[::1]/x"),
        ("android-app://com.example", "android-app://com.example"),
    ],
)
def test_a_referrer_is_an_address(stored: str, url: str) -> None:
    assert told(referrer=stored)["referrer"] == url
