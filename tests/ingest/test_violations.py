"""Refusals of limits in the audit log: one row a day, project and limit, that counts."""

from types import SimpleNamespace
from typing import Any

from appliance.broadcast import Broadcast
from appliance.clock import DAY, MINUTE
from appliance.ingest.refusals import UNKNOWN_PROJECT, Refusal, Refusals
from appliance.ingest.violations import Violations
from appliance.model import Project, ProjectSettings
from appliance.storage import audit
from appliance.web.audit_words import sentence
from tests.builders import at
from tests.engines import AnyDatabase

NOW = at(0)
SITES = {
    number: Project(number, f"id-{number}", "Shop", (), "UTC", "EUR", ProjectSettings(), 0, 0) for number in (1, 2)
}
REGISTRY: Any = SimpleNamespace(catalogue=SimpleNamespace(projects=SITES))


def appliance(database: AnyDatabase) -> tuple[Violations, Refusals]:
    refusals = Refusals(Broadcast())
    return Violations(database, refusals, REGISTRY), refusals


def refuse(refusals: Refusals, project_id: int, reason: str, times: int) -> None:
    for _ in range(times):
        refusals.add(project_id, Refusal(NOW, "rejected", reason, "", "", "", "native"))


async def said(database: AnyDatabase) -> list[str]:
    entries = reversed(await audit.recent(database))
    return [" ".join(sentence(entry)[:2]).strip() for entry in entries]


async def test_a_row_a_day_project_and_limit(database: AnyDatabase) -> None:
    violations, refusals = appliance(database)
    refuse(refusals, 1, "rate_limited", 1200)
    refuse(refusals, 2, "rate_limited", 1)
    refuse(refusals, 2, "quota", 3)
    refuse(refusals, UNKNOWN_PROJECT, "rate_limited", 7)
    refuse(refusals, 1, "bot", 100)
    await violations.write(NOW)
    await violations.write(NOW + MINUTE)
    refuse(refusals, 1, "rate_limited", 34)
    await violations.write(NOW + 2 * MINUTE)
    today = [
        "Refused requests (1,234) above the rate limit of the site Shop",
        "Refused requests (1) above the rate limit of the site Shop",
        "Refused requests and events (3) above the monthly quota of the site Shop",
        "Refused requests (7) above the rate limit of their address",
    ]
    assert await said(database) == today
    refuse(refusals, 1, "rate_limited", 5)
    await violations.write(NOW + DAY)
    assert await said(database) == [*today, "Refused requests (5) above the rate limit of the site Shop"]
    assert {entry.actor for entry in await audit.recent(database)} == {"appliance"}


async def test_restarts_and_other_appliances_add_to_the_row(database: AnyDatabase) -> None:
    for _ in range(3):
        violations, refusals = appliance(database)
        refuse(refusals, 1, "quota", 10)
        await violations.write(NOW)
    assert await said(database) == ["Refused requests and events (30) above the monthly quota of the site Shop"]


async def test_what_somebody_else_wrote_at_the_same_moment_is_not_overwritten(database: AnyDatabase) -> None:
    first, second = appliance(database), appliance(database)
    for violations, refusals in (first, second):
        refuse(refusals, 1, "quota", 10)
        await violations.write(NOW)
        refuse(refusals, 1, "quota", 1)
    read = database.read

    async def and_then_the_other(*arguments: Any) -> Any:
        rows = await read(*arguments)
        database.read = read  # type: ignore[method-assign]
        await second[0].write(NOW)
        return rows

    database.read = and_then_the_other  # type: ignore[method-assign]
    await first[0].write(NOW)
    assert await said(database) == ["Refused requests and events (21) above the monthly quota of the site Shop"]
    await first[0].write(NOW)
    assert await said(database) == ["Refused requests and events (22) above the monthly quota of the site Shop"]


async def test_a_project_that_is_gone_is_left_out(database: AnyDatabase) -> None:
    violations, refusals = appliance(database)
    refuse(refusals, 99, "quota", 1)
    await violations.write(NOW)
    assert await said(database) == []
