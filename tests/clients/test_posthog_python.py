"""posthog for Python, both versions of its protocol: every call arrives once, as what it is, also over a line that
fails."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from posthog import Posthog

from tests.clients.conftest import Site
from tests.clients.unsteady import Fate, Line

TIME = datetime(2025, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)


def client(url: str, key: str, errors: list[Any], **options: Any) -> Posthog:
    return Posthog(
        key, host=url, flush_interval=0.1, on_error=lambda error, batch: errors.append(error), **options
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "gzip", "fate"), [("v0", False, "lost"), ("v0", True, "busy"), ("v1", False, "busy"), ("v1", True, "lost")]
)
def test_every_call_arrives_once(site: Site, mode: str, gzip: bool, fate: Fate) -> None:
    errors: list[Any] = []
    user, draft = (f"{name}-{uuid.uuid4()}" for name in ("user", "draft"))
    ids = [str(uuid.uuid4()) for _ in range(5)]
    with Line(site.server.url, fate) as line:
        sender = client(line.url, site.key, errors, gzip=gzip, capture_mode=mode)
        sender.capture(
            "Bought", distinct_id=user, properties={"plan": "team", "tags": ["a"]}, timestamp=TIME, uuid=ids[0]
        )
        page = {"$current_url": "https://example.com/shop?utm_source=letter", "$session_id": f"session-{user}"}
        sender.capture("$pageview", distinct_id=user, properties=page, uuid=ids[1])
        sender.set(distinct_id=user, properties={"name": "Ann", "seats": 3})
        sender.set_once(distinct_id=user, properties={"from": "letter", "seats": 1})
        sender.group_identify("company", "acme", {"industry": "roads"}, distinct_id=user)
        sender.capture("Read", uuid=ids[2])  # by nobody
        sender.capture("Drafted", distinct_id=draft, uuid=ids[3])
        sender.alias(draft, user)
        sender.capture("Published", distinct_id=user, uuid=ids[4], groups={"company": "acme"})
        sender.shutdown()
    assert errors == []
    assert 200 in line.answered and len(line.answered) == 1 + (fate == "lost")
    bought, page_view, read, drafted, published = (site.events(*ids)[name] for name in ids)

    assert (bought["event"], bought["user_id"]) == ("Bought", user)
    assert bought["properties"] == {"plan": "team", "tags": ["a"]}
    assert datetime.fromisoformat(bought["timestamp"]).replace(tzinfo=UTC) == TIME
    assert (page_view["path"], page_view["utm_source"]) == ("/shop", "letter")
    assert site.visit_of(page_view)["pageviews"] == 1
    assert "user_id" not in read
    assert site.visit_of(drafted)["user_id"] == user
    assert published["properties"] == {"$groups": {"company": "acme"}}
    assert site.traits(user) == {
        "name": "Ann", "seats": 3, "from": "letter", "groups": {"company": {"acme": {"industry": "roads"}}},
        "aliases": {draft: True},
    }  # fmt: skip
    assert not {"browser", "os", "device"} & bought.keys()


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_a_wrong_key_is_told_and_not_tried_again(site: Site, mode: str) -> None:
    errors: list[Any] = []
    with Line(site.server.url) as line:
        sender = client(line.url, "sa_wrong", errors, capture_mode=mode)
        sender.capture("Bought", distinct_id="ann")
        sender.shutdown()
    assert line.answered == [401]
    (error,) = errors
    assert error.status == 401
    assert "not known" in error.message


def test_the_newest_version_tells_of_an_event_that_was_not_taken(site: Site) -> None:
    errors: list[Any] = []
    good, bad = str(uuid.uuid4()), str(uuid.uuid4())
    sender = client(site.server.url, site.key, errors, capture_mode="v1")
    sender.capture("Bought", distinct_id="ann", uuid=good)
    sender.capture("Bought", distinct_id="u" * 300, uuid=bad)
    sender.shutdown()
    ((dropped, why),) = errors[0].drops
    assert dropped == bad
    assert "at most 255" in why
    assert site.events(good)


def test_flags_are_off_and_nothing_breaks(site: Site) -> None:
    sender = client(site.server.url, site.key, [])
    flags = sender.evaluate_flags("ann")
    assert not flags.is_enabled("new-shop")
    assert sender.get_all_flags("ann") == {}
    sender.shutdown()
