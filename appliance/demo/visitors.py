"""Sends the visitors: the past first, the newest day before the others, then for ever whatever is due."""

import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from appliance.demo import ledger
from appliance.demo.sender import EVENTS_MAX, Sender
from appliance.demo.stage import Scene
from appliance.demo.traffic import Traffic
from appliance.demo.walk import Timed
from appliance.demo.world import World

# Nobody wants to watch an empty room: when nothing happened for this long, somebody comes.
QUIET_MS = 10_000
# How often something comes that is refused, so that it can be seen why.
ODD_MS = 75_000
STEP_SECONDS = 0.25
NOTE_MS = 60_000
DAY_MS = 86_400_000

_BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
)


class Play(NamedTuple):
    """What to send. `days` of the past; about `events` in them, pageviews and custom events of all scenes together."""

    url: str
    folder: Path
    scenes: tuple[Scene, ...]
    days: int
    events: int
    seed: int


class Visitors:
    """The visitors of all scenes. `say` is called with lines for people."""

    def __init__(self, play: Play, say: Callable[[str], None]) -> None:
        self._say = say
        self._days = play.days
        self._folder = play.folder
        self._sites = [_Site(play, scene) for scene in play.scenes]

    def past(self) -> None:
        """Send what happened up to now and was not sent yet. Raises Unavailable, ApplianceError."""
        started, now, count = time.monotonic(), _now(), 0
        known = ledger.read(self._folder).sent
        for site in self._sites:
            site.resume(known.get(site.scene.project_id))
        with ThreadPoolExecutor(1) as post:
            posting: Future[None] | None = None
            for age in range(self._days + 1):
                for site in self._sites:
                    events = site.past_of(site.local_day(now) - timedelta(age), now)
                    if posting is not None:
                        posting.result()
                    posting = post.submit(site.send, events)
                    count += len(events)
                if age == 0 and posting is not None:
                    posting.result()
                    self._say(f"Today is there: {count:,} messages in {time.monotonic() - started:.1f} s.")
            if posting is not None:
                posting.result()
        self._note(now)
        self._say(f"The last {self._days} days are there: {count:,} messages in {time.monotonic() - started:.1f} s.")
        for site in self._sites:
            site.begin(now)

    def live(self) -> None:
        """Send for ever what is due. Call `past` before. Raises Unavailable, ApplianceError."""
        noted = busy = _now()
        chance = Random(noted)
        while True:
            time.sleep(STEP_SECONDS)
            now = _now()
            if sum(site.play_until(now) for site in self._sites):
                busy = now
            elif now - busy > QUIET_MS:
                chance.choice(self._sites).somebody(now)
            if now - noted > NOTE_MS:
                self._note(now)
                noted = now

    def _note(self, until: int) -> None:
        kept = ledger.read(self._folder)
        for site in self._sites:
            kept.sent[site.scene.project_id] = site.sent(until)
        ledger.write(self._folder, kept)


class _Site:
    """The visitors of one scene."""

    def __init__(self, play: Play, scene: Scene) -> None:
        self.scene = scene
        self._seed = play.seed
        self._events_a_day = play.events / play.days * scene.world.share
        self._traffic = Traffic(scene.world, made_on=scene.made_on, events_a_day=self._events_a_day, seed=play.seed)
        self._sender = Sender(play.url, scene.key)
        self._due: list[Timed] = []
        self._drawn_to: date
        self._after = 0
        self._odd_at = 0

    def local_day(self, at: int) -> date:
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(self._traffic.zone).date()

    def sent(self, until: int) -> ledger.Sent:
        return ledger.Sent(self._seed, self._events_a_day, until)

    def resume(self, known: ledger.Sent | None) -> None:
        """Leave out what an earlier run sent, but for its last day: what was on its way when that run ended is sent
        again, and counts once."""
        if known is not None and known == self.sent(known.until):
            self._after = known.until - DAY_MS

    def past_of(self, day: date, now: int) -> list[Timed]:
        """The events of the visits of a day that happened up to now."""
        if day < self.local_day(self._after) - timedelta(1):
            return []
        return [timed for timed in self._traffic.of_day(day) if self._after < timed.at <= now]

    def send(self, events: Sequence[Timed]) -> None:
        for start in range(0, len(events), EVENTS_MAX):
            self._sender.send([timed.event for timed in events[start : start + EVENTS_MAX]])

    def begin(self, now: int) -> None:
        """What comes after `now` will be sent when it is due; visits that are under way go on."""
        self._drawn_to = self.local_day(now)
        for day in (self._drawn_to - timedelta(1), self._drawn_to):
            self._add(self._traffic.of_day(day), now + 1)
        self._odd_at = now + ODD_MS // 2

    def _next_at(self, now: int) -> int:
        """When the next event is due."""
        if not self._due or self.local_day(now) > self._drawn_to:
            self._drawn_to = max(self._drawn_to + timedelta(1), self.local_day(now))
            self._add(self._traffic.of_day(self._drawn_to), now)
        return self._due[0].at

    def play_until(self, now: int) -> bool:
        """Send what is due. Whether there was anything."""
        due: list[dict[str, Any]] = []
        while self._next_at(now) <= now and len(due) < EVENTS_MAX:
            due.append(heapq.heappop(self._due).event)
        if now >= self._odd_at:
            chance = Random(now)
            due.append(_oddity(self.scene.world, now, chance))
            self._odd_at = now + round(ODD_MS * chance.uniform(0.5, 1.8))
        if due:
            self._sender.send(due)
        return bool(due)

    def somebody(self, now: int) -> None:
        """One more visit, beginning now."""
        self._add(self._traffic.one_more(now), now)

    def _add(self, events: Iterable[Timed], since: int) -> None:
        for timed in events:
            if timed.at >= since:
                heapq.heappush(self._due, timed)


def _oddity(world: World, now: int, chance: Random) -> dict[str, Any]:
    """A crawler, or a page view that is none."""
    event = {"event": "pageview", "timestamp": now, "source": "web", "url": f"https://{world.domain}/"}
    if chance.random() < 0.8:
        return event | {"user_agent": chance.choice(_BOTS), "ip": "66.249.66.1"}
    return event | {"url": "javascript:void(0)"}


def _now() -> int:
    return time.time_ns() // 1_000_000
