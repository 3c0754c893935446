"""What the drain's process and the serving process say to each other."""

from collections.abc import Collection

import msgspec

from appliance.clock import MINUTE
from appliance.ingest.batch import Applied, Placed
from appliance.ingest.event_text import event_text
from appliance.model import Event, Kind
from appliance.storage.interface import Position

LATELY = 30 * MINUTE
FEED_EVENTS_MAX = 50  # newest events of a project and batch that are told in full
# Of one message. While it is read whoever hears it answers no request, and readers of a stream wait for all of it.
PEOPLE_MAX = 1_000
WHOLE_BYTES_MAX = 1 << 20


class Until(msgspec.Struct, tag="until", array_like=True):
    """To the drain: the journal is synced up to here."""

    end: Position


class Take(msgspec.Struct, tag="take", array_like=True):
    """To the drain: packages of imports lie at these paths, in this order."""

    paths: list[str]


class Watch(msgspec.Struct, tag="watch", array_like=True):
    """To the drain: somebody streams the events of these projects, and of no others; all are to be told."""

    projects: list[int]


class Finish(msgspec.Struct, tag="finish", array_like=True):
    """To the drain: drain what there is, make it durable, end."""


class Person(msgspec.Struct, array_like=True, gc=False):
    """A visitor's newest event of a batch within one minute."""

    project_id: int
    visitor: int
    time: int
    path: str
    source: str
    country: str
    pageviews: int


class FeedItem(msgspec.Struct, array_like=True, gc=False):
    """A stored event as the live feed shows it."""

    project_id: int
    time: int
    kind: int
    name: str
    path: str
    source: str
    country: str
    browser: str
    os: str
    device: str


class Refused(msgspec.Struct, array_like=True, gc=False):
    """An event that was accepted and yet could not be stored."""

    project_id: int
    reason: str
    name: str
    page: str


class Whole(msgspec.Struct, array_like=True, gc=False):
    """The stored events of a project that is streamed, as `event_text` puts them."""

    project_id: int
    events: list[bytes]


class Part(msgspec.Struct, tag="part", array_like=True):
    """From the drain: a part of what is told of a committed batch; `Stored` follows, with the rest."""

    people: list[Person]
    whole: list[Whole]


class Stored(msgspec.Struct, tag="stored", array_like=True):
    """From the drain: a batch is committed, up to `position`. `whole` has all events of projects that are watched."""

    position: Position
    events: int
    duplicates: int
    conflicts: int
    people: list[Person]
    feed: list[FeedItem]
    refused: list[Refused]
    whole: list[Whole] = []


class Taken(msgspec.Struct, tag="taken", array_like=True):
    """From the drain: a package of an import is committed; nobody hears of more than what happened lately. None:
    nothing of it may be stored."""

    path: str
    stored: Stored | None


class Settled(msgspec.Struct, tag="settled", array_like=True):
    """From the drain: everything before `position` is on disk in the database."""

    position: Position


class Reached(msgspec.Struct, tag="reached", array_like=True):
    """From the drain: nothing before `end` is left to drain."""

    end: Position


class Stuck(msgspec.Struct, tag="stuck", array_like=True):
    """From the drain: the database takes nothing now."""

    error: str


ToDrain = Until | Take | Watch | Finish
FromDrain = Part | Stored | Taken | Reached | Settled | Stuck

encode = msgspec.msgpack.Encoder().encode
decode_to_drain = msgspec.msgpack.Decoder(ToDrain).decode
decode_from_drain = msgspec.msgpack.Decoder(FromDrain).decode


def _stored(applied: Applied, position: Position, watched: Collection[int]) -> Stored:
    """A committed batch in brief: who came, and the newest events of each project; of those watched every event."""
    people: dict[tuple[int, int, int], Person] = {}
    feeds: dict[int, list[Placed]] = {}
    for placed in applied.stored:
        event, _, visitor, _ = placed
        key = (event.project_id, visitor, event.time // 60_000_000)
        person = people.get(key)
        if person is None:
            people[key] = person = Person(
                event.project_id, visitor, event.time, event.path, event.referrer_source, event.country, 0
            )
        elif event.time >= person.time:
            person.time = event.time
            person.path = event.path or person.path
        person.pageviews += event.kind == Kind.PAGEVIEW
        feeds.setdefault(event.project_id, []).append(placed)
    return Stored(
        position,
        len(applied.stored),
        applied.duplicates,
        applied.conflicts,
        list(people.values()),
        [_feed_item(placed.event) for events in feeds.values() for placed in events[-FEED_EVENTS_MAX:]],
        [Refused(event.project_id, reason, event.name[:100], event.path[:200]) for event, reason in applied.refused],
        [Whole(project_id, list(map(event_text, feeds[project_id]))) for project_id in watched if project_id in feeds],
    )


def parts(applied: Applied, position: Position, watched: Collection[int]) -> tuple[list[Part], Stored]:
    """A committed batch in messages of a bounded size, which are said in this order."""
    told = _stored(applied, position, watched)
    people = [told.people[at : at + PEOPLE_MAX] for at in range(0, len(told.people), PEOPLE_MAX)]
    whole = _in_messages(told.whole)
    more = [*(Part(some, []) for some in people[:-1]), *(Part([], some) for some in whole[:-1])]
    told.people, told.whole = people[-1] if people else [], whole[-1]
    return more, told


def announced(applied: Applied, position: Position, watched: Collection[int]) -> list[bytes]:
    """What other appliances are told of a batch."""
    more, told = parts(applied, position, watched)
    return [encode(part) for part in (*more, told)]


def lately(applied: Applied, now: int) -> Applied:
    """What of a batch concerns those who look on: the rest happened too long ago."""
    recent = [placed for placed in applied.stored if placed.event.time > now - LATELY]
    return Applied(recent, applied.duplicates, applied.conflicts, applied.refused)


def _in_messages(whole: list[Whole]) -> list[list[Whole]]:
    messages: list[list[Whole]] = [[]]
    weight = 0
    for of in whole:
        for event in of.events:
            if messages[-1] and weight + len(event) > WHOLE_BYTES_MAX:
                messages.append([])
                weight = 0
            if not messages[-1] or messages[-1][-1].project_id != of.project_id:
                messages[-1].append(Whole(of.project_id, []))
            messages[-1][-1].events.append(event)
            weight += len(event)
    return messages


def _feed_item(event: Event) -> FeedItem:
    return FeedItem(
        event.project_id,
        event.time,
        event.kind,
        event.name,
        event.path,
        event.referrer_source,
        event.country,
        event.browser,
        event.os,
        event.device,
    )
