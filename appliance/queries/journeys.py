"""Journeys: what visits do just before and just after a chosen page or event.

A visit is its matching events in range in order, as a row of places: page views by their path, and custom events by
their name where those are asked for (the chosen event is always in). A place that follows itself, as when a page is
loaded again, counts once. Each visit is looked at around the first place that passes the filter of the chosen one, so
at every distance a visit is counted once, or began or ended before it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from appliance.queries.conditions import PAGEVIEW_KIND
from appliance.queries.filters import Filter
from appliance.queries.question import Scope
from appliance.queries.relations import Relations
from appliance.queries.reports import Reports, Statements
from appliance.queries.selection import events, holds, whole
from appliance.storage.dimensions import NONE, dictionary_of

DISTANCE: Final = 2  # places before and after that are looked at
PLACES_MAX: Final = 8  # of each distance


class Journey(msgspec.Struct, frozen=True):
    """What to ask. `around` is the filter of the chosen page or event; `with_events`: custom events are places too."""

    around: Filter
    with_events: bool = False


class Place(msgspec.Struct, frozen=True):
    """A page (its path) or a custom event (its name), and the visits that were there."""

    is_event: bool
    label: str
    visits: int


class Distance(msgspec.Struct, frozen=True):
    """The most visited places so far from the chosen one, and the `visits` that were anywhere then, these included."""

    places: tuple[Place, ...]
    visits: int

    @property
    def others(self) -> int:
        """Visits at places that are not among `places`."""
        return self.visits - sum(place.visits for place in self.places)


class Around(msgspec.Struct, frozen=True):
    """The answer: `visits` that were at the chosen page or event; by how far before (below 0) or after it. `sampled`:
    some events of the range were not kept, and visits are those that were."""

    visits: int
    distances: Mapping[int, Distance]
    sampled: bool = False

    def missing(self, distance: int) -> int:
        """Visits that had begun nearer than a distance (below 0), or had ended."""
        return self.visits - self.distances[distance].visits


async def ask(reports: Reports, scope: Scope, journey: Journey) -> Around:
    """Raises as `Reports` does."""
    (totals, rows), sampled = await reports.rows(scope, lambda relations: _statements(relations, journey))
    visits = {whole(distance): whole(count) for distance, count in totals}
    places: dict[int, list[Place]] = {}
    for distance, is_event, label, count in rows:
        places.setdefault(whole(distance), []).append(Place(is_event == 1, str(label), whole(count)))
    distances = [distance for distance in range(-DISTANCE, DISTANCE + 1) if distance]
    return Around(
        visits.get(0, 0),
        {each: Distance(tuple(places.get(each, ())), visits.get(each, 0)) for each in distances},
        sampled,
    )


def _statements(relations: Relations, journey: Journey) -> Statements:
    """SELECT distance, visits; then distance, whether it is an event, label, visits of its most visited places."""
    bind, dialect = relations.bindings, relations.dialect
    kind, chosen = bind.event("kind"), holds(journey.around, relations)
    columns = {name: bind.event(name) for name in ("visit_id", "time", "id")}
    columns |= {
        "is_event": f"CASE WHEN {kind} = {PAGEVIEW_KIND} THEN 0 ELSE 1 END",
        "code": f"CASE WHEN {kind} = {PAGEVIEW_KIND} THEN {bind.event('path')} ELSE {bind.event('name')} END",
        "chosen": f"CASE WHEN {chosen} THEN 1 ELSE 0 END",
    }
    where = [] if journey.with_events else [f"({kind} = {PAGEVIEW_KIND} OR ({chosen}))"]
    order = "OVER (PARTITION BY s.visit_id ORDER BY s.time, s.id)"
    followed = (
        f"SELECT s.*, lag(s.code) {order} AS last_code, lag(s.is_event) {order} AS last_is_event FROM journey_event s"
    )
    distinct = "s.last_code IS NULL OR s.last_code <> s.code OR s.last_is_event <> s.is_event"
    first = "SELECT j.visit_id AS visit_id, min(j.place) AS place FROM journey_place j WHERE j.chosen = 1"
    near = (
        "SELECT p.place - c.place AS distance, p.is_event AS is_event, p.code AS code FROM journey_place p"
        f" JOIN ({first} GROUP BY j.visit_id) c ON c.visit_id = p.visit_id"
        f" WHERE p.place - c.place >= -{DISTANCE} AND p.place - c.place <= {DISTANCE}"
    )
    made = (
        ("journey_event", events(relations, columns, where=where)),
        ("journey_place", f"SELECT s.*, row_number() {order} AS place FROM ({followed}) s WHERE {distinct}"),
        ("journey_near", near),
    )
    names, paths = (bind.dictionary(dictionary_of(name)) for name in ("name", "path"))
    labelled = (
        f"SELECT g.distance AS distance, g.is_event AS is_event, coalesce(n.text, p.text, '{NONE}') AS label,"
        " g.visits AS visits FROM (SELECT k.distance AS distance, k.is_event AS is_event, k.code AS code,"
        " count(*) AS visits FROM journey_near k WHERE k.distance <> 0 GROUP BY k.distance, k.is_event, k.code) g"
        f" LEFT JOIN {names} n ON g.is_event = 1 AND n.code = g.code"
        f" LEFT JOIN {paths} p ON g.is_event = 0 AND p.code = g.code"
    )
    ranked = (
        "SELECT l.*, row_number() OVER (PARTITION BY l.distance ORDER BY l.visits DESC,"
        f" {dialect.by_bytes('l.label')}, l.is_event) AS place FROM ({labelled}) l"
    )
    return Statements(
        (
            "SELECT k.distance, count(*) FROM journey_near k GROUP BY k.distance",
            (
                f"SELECT r.distance, r.is_event, r.label, r.visits FROM ({ranked}) r"
                f" WHERE r.place <= {PLACES_MAX} ORDER BY r.distance, r.place"
            ),
        ),
        made,
        by_visit=1,
    )
