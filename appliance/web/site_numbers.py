"""The figures on the cards of the list of sites, for many projects at once."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from appliance import clock
from appliance.clock import DAY, HOUR, MICROSECONDS
from appliance.errors import ApplianceError
from appliance.ingest.presence import Presence
from appliance.model import Project
from appliance.queries import timeseries
from appliance.queries.localtime import to_wall
from appliance.queries.period import Named, Times, resolve
from appliance.queries.question import Report, Scope
from appliance.queries.reports import Reports
from appliance.web.parts import SiteNumbers

log = structlog.get_logger(__name__)

HOURS: Final = 24
AT_ONCE_MAX: Final = 4  # more would only wait in the engine, and hold up everybody else's questions
SECONDS_MAX: Final = 5.0  # a page of links must not wait for figures
_VISITORS: Final = Report(("visitors",))


async def site_numbers(reports: Reports, presence: Presence, projects: Sequence[Project]) -> Mapping[int, SiteNumbers]:
    """Numbers by project id, of every project: without figures where they could not be had in time."""
    now = clock.now()
    room = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(project: Project) -> SiteNumbers:
        live = presence.people(project.id, now)
        try:
            async with room:
                return await _numbers(reports, project, now, live)
        except ApplianceError as error:
            log.warning("a site's figures could not be counted", project=project.public_id, error=str(error))
            return _unknown(live)

    asked = {project.id: asyncio.create_task(one(project)) for project in projects}
    try:
        late = (await asyncio.wait(asked.values(), timeout=SECONDS_MAX))[1] if asked else set()
    finally:  # also when nobody waits for the page any more
        for task in asked.values():
            task.cancel()
    return {
        project.id: _unknown(presence.people(project.id, now)) if task in late else task.result()
        for project, task in zip(projects, asked.values(), strict=True)
    }


def _unknown(live: int) -> SiteNumbers:
    return SiteNumbers(None, None, (None,) * HOURS, live)


async def _numbers(reports: Reports, project: Project, now: int, live: int) -> SiteNumbers:
    day = resolve(Named("24h"), project.timezone, now)
    before = resolve(Times(day.start - DAY, day.start), project.timezone, now)
    end = _next_hour(project, now)
    hours = resolve(Times(end - HOURS * HOUR, end), project.timezone, now)
    (visitors,), (previous,), (series,) = await reports.ask(
        [
            (Scope(project.id, day), [_VISITORS]),
            (Scope(project.id, before), [_VISITORS]),
            (Scope(project.id, hours), [timeseries.report(("visitors",), "hour")]),
        ]
    )
    counted = [_count(point.value) for point in timeseries.points(series, "visitors")]
    return SiteNumbers(
        visitors=_count(visitors.figures()["visitors"]),
        previous=_count(previous.figures()["visitors"]),
        hours=tuple([None] * (HOURS - len(counted)) + counted[-HOURS:]),
        live=live,
    )


def _next_hour(project: Project, now: int) -> int:
    """The end of the running hour on the project's clock, whose zone may be half an hour off."""
    zone = resolve(Named("day"), project.timezone, now).zone
    wall = to_wall(now, zone)
    into = (wall.minute * 60 + wall.second) * MICROSECONDS + wall.microsecond
    return now - into + HOUR


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None
