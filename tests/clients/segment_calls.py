"""The same calls by each of Segment's libraries for servers, and what is to become of them."""

import uuid
from datetime import UTC, datetime

from tests.clients.conftest import Site

TIME = datetime(2025, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)
PAGE = {"url": "https://example.com/shop?utm_source=letter", "title": "Shop", "referrer": "https://news.example.org/"}
BOUGHT = {"plan": "team", "price": 12.5, "revenue": 49.9, "currency": "EUR"}


class Calls:
    """Names that no other test has: of a user, of the same before it had its name, and of a reader without one; the
    message ids of the six calls that are events."""

    def __init__(self) -> None:
        self.user, self.draft, self.reader = (f"{name}-{uuid.uuid4()}" for name in ("user", "draft", "reader"))
        self.ids = [str(uuid.uuid4()) for _ in range(6)]

    def assert_stored(self, site: Site) -> None:
        stored = site.events(*self.ids)
        bought, docs, basket, read, drafted, published = (stored[name] for name in self.ids)
        assert (bought["event"], bought["user_id"]) == ("Bought", self.user)
        assert BOUGHT.items() <= bought["properties"].items()
        assert datetime.fromisoformat(bought["timestamp"]).replace(tzinfo=UTC) == TIME
        assert (bought["path"], bought["title"], bought["utm_source"]) == ("/shop", "Shop", "letter")
        assert (bought["revenue"], bought["currency"]) == ("49.90", "EUR")
        assert (docs["event"], docs["path"], docs["properties"]) == ("Guide", "/docs", {"category": "Docs"})
        assert (basket["event"], basket["path"], basket["title"]) == ("Basket", "/Basket", "Basket")
        assert "user_id" not in read
        assert site.visit_of(docs)["pageviews"] == 2
        assert site.visit_of(drafted)["user_id"] == site.visit_of(published)["user_id"] == self.user
        assert site.traits(self.user) == {
            "name": "Ann", "seats": 4, "groups": {"acme": {"industry": "roads"}}, "aliases": {self.draft: True},
        }  # fmt: skip
        assert not {"browser", "os", "device"} & bought.keys()
