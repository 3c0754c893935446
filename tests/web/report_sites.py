"""Two sites for the reports about people, short enough to be counted by hand: a shop whose visitors come again, and an
app whose users are known."""

from tests.builders import event
from tests.web.dashboards import ANN, BEN, CAT, FRENCH, GERMAN, GOOGLE, Dashboards, Visit, microseconds

SHOP = "/sites/shop.example"
# ANN comes in three weeks, BEN in two, CAT once; DAN, who is in no other list, came long before.
DAN = 44
COMING = (
    Visit("2025-12-20 09:00", DAN, ["/"], GERMAN),
    Visit("2026-02-23 10:00", ANN, ["/", "/pricing"], GERMAN | GOOGLE, "Signup"),
    Visit("2026-02-24 10:00", BEN, ["/pricing", "/"], FRENCH),
    Visit("2026-03-03 10:00", ANN, ["/"], GERMAN, "Order"),
    Visit("2026-03-04 10:00", CAT, ["/docs"], FRENCH),
    Visit("2026-03-05 10:00", DAN, ["/docs"], GERMAN),
    Visit("2026-03-10 10:00", ANN, ["/blog"], GERMAN),
    Visit("2026-03-17 10:00", BEN, ["/"], FRENCH),
)
PERIOD = "from=2026-02-23&to=2026-03-22"

APP = "/sites/app.example"
KNOWN = (
    Visit("2026-03-10 10:00", ANN, ["/", "/shop"], GERMAN | {"user_id": "ann@example.com"}),
    Visit("2026-03-15 10:00", ANN, ["/shop"], GERMAN | {"user_id": "ann@example.com"}),
    Visit("2026-03-16 10:00", BEN, ["/welcome"], FRENCH | {"user_id": "ben/1?x=&y"}),
)
ORDER = {
    "user_id": "ann@example.com",
    "revenue": 1999,
    "currency": "EUR",
    "properties": '{"plan": "pro", "tags": ["a", "<b>"]}',
}


async def the_shop(dashboards: Dashboards, domain: str = "shop.example") -> None:
    """The site at SHOP."""
    await dashboards.site(COMING, domain)


async def the_app(dashboards: Dashboards) -> None:
    """The site at APP."""
    project = await dashboards.site(KNOWN, "app.example")
    order = microseconds("2026-03-15 10:05")
    dashboards.store(
        [event(visitor=ANN, name="Order", path="/shop", time=order, project_id=project.id, **GERMAN, **ORDER)]
    )
    await dashboards.database.write(
        "INSERT INTO user_trait SELECT d.project_id, d.code, :traits, 0 FROM dictionary d"
        " WHERE d.project_id = :project AND d.dimension = 6 AND d.text = 'ann@example.com'",
        {"project": project.id, "traits": '{"plan": "pro", "tags": ["x"]}'},
    )
