"""Events to visits (SEMANTICS, Visits): which visit an event joins, and what that changes in it.

`VisitBook` keeps the visits of recent visitors in memory between batches, and asks the database for those it does not
know. It is dropped whole when a batch fails, so it never holds what the database does not.
"""

from bisect import bisect_left
from collections.abc import Container
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from appliance.clock import HOUR, MICROSECONDS, MINUTE
from appliance.model import ACQUISITION_FIELDS, UNSAMPLED, Event, Flag, Kind, ProjectSettings, Visit
from appliance.storage.dimensions import DICTIONARIES
from appliance.storage.interface import DrainTransaction, Elsewhere
from appliance.storage.row_columns import SPAN

VISITORS_KEPT = 20_000  # among whom nobody is forgotten
VISITORS_KEPT_MAX = 100_000  # a kilobyte each
LATELY = HOUR  # who came in so much time before the last one is kept as long as there is room
RECENT = 48 * HOUR

_FIRST = tuple(DICTIONARIES[name] for name in ACQUISITION_FIELDS)
_first_of = attrgetter("project_id", *ACQUISITION_FIELDS)
FIRSTS_KEPT_MAX = 20_000
_PATH = DICTIONARIES["path"]
_HOSTNAME = DICTIONARIES["hostname"]
_USER = DICTIONARIES["user"]

VisitorKey = tuple[int, int]  # project, visitor


class Rule(NamedTuple):
    """When an event joins a visit, in microseconds: after a pause of `timeout` at most, or, where `window` is not 0, in
    the same window of that length, counted from 1970."""

    timeout: int
    window: int = 0


@lru_cache(1024)
def rule_of(settings: ProjectSettings) -> Rule:
    """A project's rule."""
    window = settings.visit_window_minutes * MINUTE if settings.visit_rule == "window" else 0
    return Rule(settings.visit_timeout_seconds * MICROSECONDS, window)


class _Known:
    """What is known of one visitor: all visits that start in [since, until] and maybe others, and the visit it is an
    alias of."""

    __slots__ = ("alias", "since", "until", "visits")

    def __init__(self, visits: list[Visit], since: int, until: int, alias: Visit | None) -> None:
        self.visits = visits
        self.since = since
        self.until = until
        self.alias = alias


class VisitBook:
    """Use: `begin` a batch, `place`, `engage` or `identify` each event in journal order, then read `new`, `changed`."""

    def __init__(self) -> None:
        self._known: dict[VisitorKey, _Known] = {}
        self._by_id: dict[int, Visit] = {}
        self._new: dict[int, Visit] = {}
        self._grown: dict[int, Visit] = {}
        self._changed: dict[int, Visit] = {}  # in more than a next event usually changes
        self._others: set[VisitorKey] = set()  # of whom visits are in `_by_id`, though they are not in `_known`
        self._firsts: dict[tuple[object, ...], tuple[int, ...]] = {}  # codes of texts with which visits began
        self._room = 0  # for so many visitors, if that is more than VISITORS_KEPT
        self._tx: DrainTransaction

    @property
    def visitors(self) -> Container[VisitorKey]:
        """Whose visits are remembered."""
        return self._known.keys()

    def begin(self, tx: DrainTransaction) -> None:
        """Start a batch inside a transaction."""
        self._tx = tx
        self._new = {}
        self._grown = {}
        self._changed = {}
        if len(self._known) > max(self._room, VISITORS_KEPT):
            self._make_room()

    def save(self) -> None:
        """Store what this batch did to visits."""
        grown = [visit for visit in self._grown.values() if visit.id not in self._changed]
        self._tx.save_visits(list(self._new.values()), grown, list(self._changed.values()))

    def drop(self, changed: Elsewhere) -> None:
        """Forget the visits of visitors, where others may have changed them."""
        there = set(changed.visitors)
        for visit in changed.visits:
            if (remembered := self._by_id.get(visit.id)) is not None and remembered.visitor != visit.visitor:
                there.add(_owner(remembered))  # re-keyed by somebody else
        there = {key for key in there if key in self._known or key in self._others}
        if not there:
            return  # they are new, as most are
        for key in there:
            self._known.pop(key, None)
        for key in [key for key, known in self._known.items() if known.alias and _owner(known.alias) in there]:
            del self._known[key]
            self._others.add(key)
        self._others -= there
        for number in [number for number, visit in self._by_id.items() if _owner(visit) in there]:
            del self._by_id[number]

    def forget(self) -> None:
        """Drop everything: the batch was rolled back."""
        self._known.clear()
        self._by_id.clear()
        self._others.clear()
        self._firsts.clear()

    # ------------------------------------------------------------------ the three things an event can do

    def place(self, event: Event, rule: Rule) -> Visit:
        """The visit that a pageview or custom event joins or starts; the visit takes the event in."""
        visit = self._find(event, rule)
        if visit is None:
            visit = self._start(event)
        else:
            self._touch(visit)
        self._take_in(visit, event)
        return visit

    def engage(self, visit_id: int, time: int, rule: Rule) -> Visit | None:
        """Let engagement at that time lengthen a visit. None when the visit is not there any more."""
        visit = self._by_id.get(visit_id) or self._tx.visit(visit_id)
        if visit is None:
            return None
        self._remember(visit)
        if visit.end < time <= visit.start + SPAN and _is_near(visit, time, rule):
            visit.end = time
            self._touch(visit)
        return visit

    def restore(self, event: Event, visit_id: int, end: int, user_id: str) -> Visit:
        """The visit of that id, or a new one where there is none that may reach so far; it takes the event in, ends no
        earlier than at `end`, and belongs to that user, whatever its events say."""
        visit = (self._by_id.get(visit_id) or self._tx.visit(visit_id)) if visit_id else None
        if visit is None or max(visit.end, event.time) - min(visit.start, event.time) > SPAN:
            visit = self._start(event)
        else:
            self._remember(visit)
            self._touch(visit)
        self._take_in(visit, event)
        visit.end = max(visit.end, min(end, visit.start + SPAN))
        user = self._tx.code(event.project_id, _USER, user_id)
        if visit.user != user:
            visit.user = user
            self._change(visit)
        return visit

    def identify(self, event: Event, rule: Rule) -> None:
        """A statement of who somebody is, or was: re-keys the open visit, starts none."""
        self._find(event, rule)

    def reset(self, event: Event) -> None:
        """The client forgot who it was: what comes next is somebody else."""
        for visitor in {event.visitor, event.anonymous}:
            if visitor is not None:
                key = (event.project_id, visitor)
                self._tx.drop_alias(*key)
                if key in self._known:
                    self._known[key].alias = None

    # ------------------------------------------------------------------ finding

    def _find(self, event: Event, rule: Rule) -> Visit | None:
        project_id, time, session = event.project_id, event.time, event.session_id
        mine = self._of(project_id, event.visitor, time, rule.timeout)
        aliases = [mine.alias] if mine.alias is not None else []
        for visitor in (event.visitor_yesterday, event.anonymous):
            if visitor is not None:
                other = self._of(project_id, visitor, time, rule.timeout)
                aliases += other.visits
                if other.alias is not None:
                    aliases.append(other.alias)
        if aliases and event.user_id and event.kind != Kind.ALIAS:
            # A visit of another user is not this one's: a second user in one visit starts a new one.
            user = self._tx.code(project_id, _USER, event.user_id)
            aliases = [visit for visit in aliases if visit.user in (0, user)]
        visit = _nearest(aliases, time, session, rule) or _nearest(mine.visits, time, session, rule)
        if visit is None or visit.visitor == event.visitor:
            return visit
        if event.anonymous is not None and event.user_id:
            self._rekey(visit, event)
        else:
            self._set_alias(project_id, event.visitor, visit)
        return visit

    def _of(self, project_id: int, visitor: int, time: int, timeout: int) -> _Known:
        key = (project_id, visitor)
        since, until = time - SPAN - timeout, time + SPAN
        known = self._known.get(key)
        if known is not None and known.since <= since and until <= known.until:
            return known
        since, until = min(since, time - RECENT), time + RECENT
        found = [self._same(visit) for visit in self._tx.visits_of(project_id, visitor, since, until)]
        if known is not None:
            # Visits of this batch are not in the database yet.
            listed = {visit.id for visit in found}
            found += [visit for visit in known.visits if visit.id not in listed]
            known.visits = [visit for visit in found if visit.visitor == visitor]
            known.since, known.until = since, until
            return known
        alias = None
        if (visit_id := self._tx.alias_of(project_id, visitor)) is not None:
            alias = self._by_id.get(visit_id) or self._tx.visit(visit_id)
            if alias is not None:
                self._remember(alias)
        known = self._known[key] = _Known([v for v in found if v.visitor == visitor], since, until, alias)
        return known

    def _remember(self, visit: Visit) -> None:
        self._by_id[visit.id] = visit
        if (owner := _owner(visit)) not in self._known:
            self._others.add(owner)

    def _same(self, visit: Visit) -> Visit:
        """One object per visit, whoever asked for it first."""
        remembered = self._by_id.setdefault(visit.id, visit)
        if remembered.visitor != visit.visitor and visit.id not in self._changed:
            # Re-keyed by somebody else; of who had it before, nothing is in this batch.
            self.drop(Elsewhere(visits=[visit]))
            remembered = self._by_id[visit.id] = visit
        return remembered

    # ------------------------------------------------------------------ changing

    def _start(self, event: Event) -> Visit:
        project_id = event.project_id
        visit = Visit(
            id=self._tx.next_visit_id(),
            project_id=project_id,
            visitor=event.visitor,
            salt_day=event.salt_day,
            user=self._tx.code(project_id, _USER, event.user_id),
            session_id=event.session_id,
            start=event.time,
            end=event.time,
            entry_at=None,
            exit_at=None,
            entry_path=0,
            entry_hostname=0,
            exit_path=0,
            exit_hostname=0,
            pageviews=0,
            events=0,
            interactive=0,
            rate=event.rate if event.flags & Flag.BY_VISITOR else UNSAMPLED,
            first=self._first(event),
        )
        self._new[visit.id] = visit
        self._remember(visit)
        if (known := self._known.get((project_id, event.visitor))) is not None:
            known.visits.append(visit)
        if event.anonymous is not None:
            self._set_alias(project_id, event.anonymous, visit)
        return visit

    def _first(self, event: Event) -> tuple[int, ...]:
        texts = _first_of(event)
        codes = self._firsts.get(texts)
        if codes is None:
            if len(self._firsts) >= FIRSTS_KEPT_MAX:
                self._firsts.clear()
            pairs = zip(_FIRST, texts[1:], strict=True)
            codes = tuple([self._tx.code(event.project_id, dimension, text) for dimension, text in pairs])
            self._firsts[texts] = codes
        return codes

    def _take_in(self, visit: Visit, event: Event) -> None:
        time = event.time
        if time < visit.start:
            visit.start = time
            self._change(visit)
        if time > visit.end:
            visit.end = time
        visit.events += 1
        if event.user_id and visit.user == 0 and visit.visitor == event.visitor:
            visit.user = self._tx.code(visit.project_id, _USER, event.user_id)
            self._change(visit)
        if event.kind != Kind.PAGEVIEW:
            visit.interactive += not event.flags & Flag.PASSIVE
            return
        visit.pageviews += 1
        # Of pageviews at the same time the first in the journal is the entry, the last the exit.
        if visit.entry_at is None or time < visit.entry_at:
            visit.entry_at = time
            self._change(visit)
            visit.entry_path, visit.entry_hostname = self._page(event)
        if visit.exit_at is None or time >= visit.exit_at:
            visit.exit_at = time
            visit.exit_path, visit.exit_hostname = self._page(event)

    def _page(self, event: Event) -> tuple[int, int]:
        code = self._tx.code
        return code(event.project_id, _PATH, event.path), code(event.project_id, _HOSTNAME, event.hostname)

    def _rekey(self, visit: Visit, event: Event) -> None:
        """The visit began without a name and now has one: it becomes the user's, so the person counts once."""
        old = (visit.project_id, visit.visitor)
        if old in self._known:
            self._known[old].visits = [other for other in self._known[old].visits if other.id != visit.id]
        self._set_alias(*old, visit)
        if event.anonymous is not None and event.anonymous != visit.visitor:
            self._set_alias(visit.project_id, event.anonymous, visit)
        visit.visitor = event.visitor
        visit.salt_day = None
        visit.user = self._tx.code(visit.project_id, _USER, event.user_id)
        self._known[(visit.project_id, event.visitor)].visits.append(visit)
        self._change(visit)

    def _set_alias(self, project_id: int, visitor: int, visit: Visit) -> None:
        known = self._known.get((project_id, visitor))
        if known is not None:
            if known.alias is visit:
                return
            known.alias = visit
        self._tx.add_alias(project_id, visitor, visit)

    def _touch(self, visit: Visit) -> None:
        if visit.id not in self._new:
            self._grown[visit.id] = visit

    def _change(self, visit: Visit) -> None:
        if visit.id not in self._new:
            self._changed[visit.id] = visit

    def _make_room(self) -> None:
        """Forget whose visits ended before those of others: half of the visitors at least where there are too many, and
        who did not come lately. The database still has them."""
        ends = sorted((max((v.end for v in known.visits), default=0), key) for key, known in self._known.items())
        lately = bisect_left(ends, (ends[-1][0] - LATELY,))
        going = max(lately, len(ends) // 2 if len(ends) > VISITORS_KEPT_MAX else 0)
        for _, key in ends[:going]:
            del self._known[key]
        self._room = min(2 * len(self._known), VISITORS_KEPT_MAX)
        self._by_id = {visit.id: visit for known in self._known.values() for visit in known.visits}
        self._others.clear()
        for known in self._known.values():
            if known.alias is not None:
                self._remember(known.alias)


def _owner(visit: Visit) -> VisitorKey:
    return visit.project_id, visit.visitor


def _is_near(visit: Visit, time: int, rule: Rule) -> bool:
    if rule.window:
        return time // rule.window == visit.start // rule.window
    return visit.start - rule.timeout <= time <= visit.end + rule.timeout


def _nearest(visits: list[Visit], time: int, session: str, rule: Rule) -> Visit | None:
    """Of the visits that the event may join the one with the smallest gap, then the later start.

    An event with a session id joins only visits that carry it; one without joins any.
    """
    best: Visit | None = None
    best_rank = (0, 0)
    for visit in visits:
        if session and visit.session_id != session:
            continue
        # A client's session id says by itself that the visit goes on.
        if not session and not _is_near(visit, time, rule):
            continue
        if max(visit.end, time) - min(visit.start, time) > SPAN:
            continue
        gap = visit.start - time if time < visit.start else time - visit.end if time > visit.end else 0
        rank = (gap, -visit.start)
        if best is None or rank < best_rank:
            best, best_rank = visit, rank
    return best
