"""segment-analytics-python: every call arrives once, as what it is, also over a line that fails."""

from typing import Any

import pytest
from segment.analytics.client import Client
from segment.analytics.request import APIError

from tests.clients.conftest import Site
from tests.clients.segment_calls import BOUGHT, PAGE, TIME, Calls
from tests.clients.unsteady import Fate, Line


def client(url: str, key: str, errors: list[Any], **options: Any) -> Client:
    return Client(key, host=url, upload_interval=0.1, on_error=lambda error, batch: errors.append(error), **options)


@pytest.mark.parametrize(("gzip", "fate"), [(False, "lost"), (True, "busy")])
def test_every_call_arrives_once(site: Site, gzip: bool, fate: Fate) -> None:
    errors: list[Any] = []
    calls = Calls()
    user, ids = calls.user, calls.ids
    with Line(site.server.url, fate) as line:
        sender = client(line.url, site.key, errors, gzip=gzip)
        sender.track(user, "Bought", BOUGHT, context={"page": PAGE}, timestamp=TIME, message_id=ids[0])
        sender.page(user, "Docs", "Guide", {"url": "https://example.com/docs"}, message_id=ids[1])
        sender.screen(user, None, "Basket", {"items": 2}, message_id=ids[2])
        sender.identify(user, {"name": "Ann", "seats": 3})
        sender.group(user, "acme", {"industry": "roads"})
        sender.track(anonymous_id=calls.reader, event="Read", message_id=ids[3])
        sender.track(calls.draft, "Drafted", message_id=ids[4])
        sender.alias(calls.draft, user)
        sender.identify(user, {"seats": 4})
        sender.track(user, "Published", message_id=ids[5])
        sender.shutdown()
    assert errors == []
    assert line.answered == ([0, 200] if fate == "lost" else [200])
    calls.assert_stored(site)


def test_a_wrong_key_is_told_and_not_tried_again(site: Site) -> None:
    errors: list[Any] = []
    with Line(site.server.url) as line:
        sender = client(line.url, "sa_wrong", errors)
        sender.track("ann", "Bought")
        sender.shutdown()
    assert line.answered == [401]
    (error,) = errors
    assert isinstance(error, APIError)
    assert (error.status, error.code) == (401, "unknown_key")
    assert "not known" in error.message
