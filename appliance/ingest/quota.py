"""How many more events a project may have this month: its quota, less what it received in the month of its calendar.

What was received is counted where it is stored (storage/usage.py), in the same transaction, once. It is read again
every few seconds, and with it up to where our journal is counted in it; what was accepted behind that is counted here,
and at a start, in the journal that the last run left. So a restart loses nothing, and what other appliances on the
database accept is known as soon as they have stored it: together they may pass a quota by what comes in while that
takes, some seconds.

All is done between two turns of the loop: nothing comes in between looking at what is left and counting what is taken.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from appliance.clock import HOUR, MICROSECONDS
from appliance.errors import TooMany
from appliance.ingest.backlog import backlog
from appliance.ingest.journal import Journal
from appliance.ingest.registry import Registry
from appliance.model import Event, Kind, Project
from appliance.storage import audit, usage
from appliance.storage.calendar import local_month, month_start
from appliance.storage.interface import Database, Position

READ_SECONDS: Final = 2.0
# A quota may be raised at any time, so nobody is told to stay away until the month is over.
RETRY_SECONDS_MAX: Final = HOUR // MICROSECONDS
NOTED_PERCENT: Final = (80, 100)  # of a quota, in the audit log
ACTOR: Final = "appliance"

_CUSTOM = int(Kind.CUSTOM)
_TOGETHER: Final = MICROSECONDS // 10  # what was taken within it is known to be stored at once


class _Taken(msgspec.Struct, gc=False):
    """Events that were taken within a tenth of a second, and the position in the journal behind all of them."""

    slot: int
    position: Position
    events: int


class _Month(msgspec.Struct, gc=False):
    """What a project received in the month of its calendar in [start, end), in UTC microseconds.

    `stored` is counted in the database, `taken` is not yet; `places` says where in the journal that lies, as far as it
    has a place there already.
    """

    timezone: str
    number: int
    start: int
    end: int
    stored: int
    taken: int
    places: deque[_Taken]

    @property
    def events(self) -> int:
        return self.stored + self.taken


class Quotas:
    """The quotas of all projects that have one. Call `begin` before use, and `refresh` every READ_SECONDS."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry
        self.months: dict[int, _Month] = {}  # by project, of those that have a quota
        self._stored_up_to: Position | None = None
        self._noted: set[tuple[int, int, int, int]] = set()  # project, month, quota, per cent

    def left(self, project: Project, now: int) -> int:
        """How many events the project may still have. Of one whose quota is news, the first seconds are not counted."""
        quota = project.settings.quota_events_month
        month = self._running(project, now)
        return quota if month is None else max(quota - month.events, 0)

    def check(self, project: Project, now: int) -> None:
        """Raises TooMany (`quota`) where nothing is left."""
        if not self.left(project, now):
            raise self.used_up(project, now)

    def used_up(self, project: Project, now: int) -> TooMany:
        """What says that a project gets no more this month, and for how long."""
        month = self.months[project.id]
        seconds = -(-(month.end - now) // MICROSECONDS)
        return TooMany(
            f"the project has had the {project.settings.quota_events_month} events of its month",
            code="quota",
            retry_after_seconds=max(1, min(seconds, RETRY_SECONDS_MAX)),
        )

    def count(self, events: Iterable[Event], duplicates: int) -> Mapping[int, int]:
        """Count what was given to the journal, by project. `duplicates` of them are known already."""
        counts = Counter([event.project_id for event in events if event.kind <= _CUSTOM])
        counted = {project_id: number for project_id, number in counts.items() if project_id in self.months}
        if len(counts) == 1 and counted:
            ((project_id, number),) = counted.items()
            counted[project_id] = max(number - duplicates, 0)
        for project_id, number in counted.items():
            self.months[project_id].taken += number
        return counted

    def settle(self, counted: Mapping[int, int], position: Position | None, now: int) -> None:
        """What was counted is in the journal, before `position`; None: it is not, after all."""
        for project_id, number in counted.items():
            month = self.months.get(project_id)
            if month is None:
                continue
            slot = now // _TOGETHER
            if position is None:
                month.taken = max(month.taken - number, 0)
            elif month.places and month.places[-1].slot == slot:
                last = month.places[-1]
                last.events += number
                last.position = max(last.position, position)
            else:
                month.places.append(_Taken(slot, position, number))

    async def begin(self, now: int, journal: Journal) -> None:
        """Read what is stored, and count what the journal holds behind that."""
        await self.refresh(now, journal.journal_id)
        if not self.months:
            return
        starts = {id_: month_start(month.number, month.timezone) for id_, month in self.months.items()}
        found = await asyncio.to_thread(backlog, journal.folder, self._stored_up_to, journal.end, starts)
        for project_id, number in found.events.items():
            self.months[project_id].taken += number
            self.months[project_id].places.append(_Taken(0, found.end, number))

    async def refresh(self, now: int, journal_id: bytes) -> None:
        """Read what is stored, and write into the audit log whose quota is nearly or wholly used up."""
        projects = [p for p in self._registry.catalogue.projects.values() if p.settings.quota_events_month]
        if not projects:
            self.months = {}
            return
        first = min(local_month(now, project.timezone) for project in projects)
        found = await usage.since(self._database, first, journal_id)
        self._stored_up_to = found.counted
        self.months = {project.id: self._read(project, found, now) for project in projects}
        for project in projects:
            await self._note(project, now)

    def _read(self, project: Project, found: usage.Usage, now: int) -> _Month:
        month = self._running(project, now) or _begin(project, now)
        month.stored = found.events.get((project.id, month.number), 0)
        while month.places and found.counted is not None and month.places[0].position <= found.counted:
            month.taken = max(month.taken - month.places.popleft().events, 0)
        return month

    def _running(self, project: Project, now: int) -> _Month | None:
        """The project's month that is running; None where nothing is known of it. One that has just begun is empty, and
        so is one that a clock came back to, until it is read."""
        month = self.months.get(project.id)
        if month is not None and (not month.start <= now < month.end or month.timezone != project.timezone):
            month = self.months[project.id] = _begin(project, now)
        return month

    async def _note(self, project: Project, now: int) -> None:
        quota, month = project.settings.quota_events_month, self.months[project.id]
        for percent in NOTED_PERCENT:
            key = (project.id, month.number, quota, percent)
            if month.events * 100 < quota * percent or key in self._noted:
                continue
            which = f"{month.number // 12 + 1970}-{month.number % 12 + 1:02d}"
            detail = f"{project.public_id} {percent} % of the {quota:,} events for {which}"
            await audit.record_once(self._database, now, ACTOR, "quota", project.name, detail)
            self._noted.add(key)


def _begin(project: Project, now: int) -> _Month:
    number = local_month(now, project.timezone)
    start, end = (month_start(month, project.timezone) for month in (number, number + 1))
    return _Month(project.timezone, number, start, end, 0, 0, deque())
