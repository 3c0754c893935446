"""All events of one local day of a site, in order of time: how many visits, when, and by whom."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from appliance.demo.people import draw
from appliance.demo.walk import Timed, Walk
from appliance.demo.world import World

GROWTH_DAYS = 30
DAY_DEVIATION = 0.055
# Most come back soon, a few after weeks (Pareto), and some much more often than others (square).
AGAIN_DAYS_SHAPE = 1.1
AGAIN_DAYS_MAX = 45


class Traffic:
    """The traffic of a site. A day depends on its date and on what is given here, not on when it is asked for."""

    def __init__(self, world: World, *, made_on: date, events_a_day: float, seed: int) -> None:
        """`made_on` is the local day on which the project was made: growth leads up to it, and it places the spike.
        `events_a_day` is about the mean of the GROWTH_DAYS before it, pageviews and custom events."""
        self.world = world
        self.zone = ZoneInfo(world.timezone)
        self._made_on = made_on
        self._visits_a_day = events_a_day / world.events_per_visit
        self._seed = seed
        self._usual: dict[date, int] = {}

    def of_day(self, day: date) -> list[Timed]:
        """The events of all visits that begin on a local day, in order of time; the last end on the next day."""
        events: list[Timed] = []
        hours = self.world.weekend_hours if day.weekday() >= 5 else self.world.hours
        for index in range(self.visits_on(day)):
            chance = Random(f"{self._seed} {self.world.slug} {day} {index}")
            hour = chance.choices(range(24), hours)[0] + chance.random()
            events += self._walk(day, index, self._moment(day, hour), chance).events()
        events.sort()
        return events

    def one_more(self, now: int) -> list[Timed]:
        """A visit beyond the plan that begins now (ms since 1970)."""
        chance = Random(f"{self._seed} {self.world.slug} {now}")
        person = draw(self.world, self._seed, f"extra {now}")
        return sorted(Walk(self.world, person, person.source, now, chance, first=True).events())

    def visits_on(self, day: date) -> int:
        """How many visits begin on a local day."""
        return self._usual_on(day) + round(self._usual_on(day) * self._extra(day))

    def _walk(self, day: date, index: int, start: int, chance: Random) -> Walk:
        world, seed, key = self.world, self._seed, f"{day} {index}"
        if index >= self._usual_on(day):
            source = world.spike.source
            return Walk(world, draw(world, seed, key, source), source, start, chance, first=True)
        if chance.random() >= world.returns:
            person = draw(world, seed, key)
            return Walk(world, person, person.source, start, chance, first=True)
        before = day - timedelta(min(int(chance.paretovariate(AGAIN_DAYS_SHAPE)), AGAIN_DAYS_MAX))
        person = draw(world, seed, f"{before} {int(self._usual_on(before) * chance.random() ** 2)}")
        source = chance.choices(world.return_sources, [one.weight for one in world.return_sources])[0]
        return Walk(world, person, source, start, chance, first=False)

    def _usual_on(self, day: date) -> int:
        """Visits without what a spike adds."""
        count = self._usual.get(day)
        if count is None:
            age = (self._made_on - day).days / GROWTH_DAYS
            growth = 1 + self.world.growth * (0.5 - min(max(age, 0), 2))
            weather = Random(f"{self._seed} {self.world.slug} {day}").gauss(1, DAY_DEVIATION)
            mean = self._visits_a_day * self.world.weekdays[day.weekday()]
            count = self._usual[day] = max(1, round(mean * growth * weather))
        return count

    def _extra(self, day: date) -> float:
        """What the spike adds on a day, in usual days."""
        spike = self.world.spike
        since = spike.days_before - (self._made_on - day).days
        return {0: spike.factor - 1, 1: (spike.factor - 1) / 4, 2: (spike.factor - 1) / 12}.get(since, 0.0)

    def _moment(self, day: date, hour: float) -> int:
        """ms since 1970 of a local hour; one that the clocks skip or repeat is taken as the zone does."""
        local = datetime(day.year, day.month, day.day, tzinfo=self.zone) + timedelta(hours=hour)
        return round(local.astimezone(UTC).timestamp() * 1000)
