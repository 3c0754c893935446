"""A shop with goals, small enough to be counted by hand: the visits of tests/web/dashboards.py, and an order.

In the 28 days that end yesterday five visitors came: ANN signed up, DAN and EVE read /docs, EVE ordered for €19.99.
"""

from appliance.model import Project
from appliance.storage import goals
from appliance.storage.goals import Goal
from tests.builders import event
from tests.web.dashboards import EVE, FRENCH, NOW, Dashboards, microseconds

WANTED = (
    ("event", "Signup", {}),
    ("page", "/docs", {"name": "Read the docs"}),
    ("event", "Order", {"name": "=Order|now", "currency": "EUR"}),  # what is special in addresses and in spreadsheets
    ("event", "Never", {}),
)


async def with_goals(dashboards: Dashboards, domain: str) -> tuple[Project, list[Goal]]:
    project = await dashboards.site(domain=domain)
    made = [
        await goals.create(dashboards.database, project.id, kind, pattern, actor="cli", at=NOW, **more)
        for kind, pattern, more in WANTED
    ]
    order = {"revenue": 1999, "currency": "EUR", "browser_version": "140", **FRENCH}
    time = microseconds("2026-03-11 20:02")
    dashboards.store([event(visitor=EVE, name="Order", path="/docs", time=time, project_id=project.id, **order)])
    return project, made
