"""The ASGI function in front: takes the ingest paths itself, hands everything else to the application behind.

A router and middleware would cost more than all the work done here, so there are none: a table of paths, one dialect
each, and the same six steps for every request: read, decode, admit, enrich, journal, answer.

All but the reading and the waiting is plain functions (`take`, `conclude`), so that `protocol` can serve the usual
request without a task and an ASGI cycle of its own, and both ways do the same.
"""

from asyncio import Future, shield, sleep
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from appliance.broadcast import Broadcast
from appliance.clock import now
from appliance.errors import ApplianceError, Invalid, JournalFailed, TooMany
from appliance.ingest.admission import Grant, Part, UnknownSender, admit, admit_parts, check_origin
from appliance.ingest.answers import Answer, Send, preflight, problem, send_answer, with_retry_after
from appliance.ingest.arrival import Arrival, Receive
from appliance.ingest.arriving import Arriving
from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.crowd import Crowd
from appliance.ingest.dialects import native
from appliance.ingest.dialects.table import Dialects
from appliance.ingest.drain import encode_event, encode_events
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.exclusions import Exclusions
from appliance.ingest.geo import Locator
from appliance.ingest.journal import Journal
from appliance.ingest.key_uses import KeyUses
from appliance.ingest.outcome import Outcome
from appliance.ingest.patience import Patience
from appliance.ingest.pipeline import Dropped, Rejected, enrich
from appliance.ingest.quota import Quotas
from appliance.ingest.rate_limit import RateLimits
from appliance.ingest.recent import RecentIds
from appliance.ingest.refusals import UNKNOWN_PROJECT, Refusal, Refusals
from appliance.ingest.registry import Registry
from appliance.ingest.seen_requests import Pace, SeenRequest, seen
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Decoded, Drop, Rejection, Sent
from appliance.ingest.visitor import Salts
from appliance.model import Event, Flag, Kind, Project
from appliance.storage.interface import Position
from appliance.telemetry import Seldom

MINTED = int(Flag.MINTED)
CUSTOM = int(Kind.CUSTOM)
UNREAD = (400, 408, 413, 415, 422)  # of a request that is not what it should be, before anybody asked whose it is
COUNTED = "appliance.counted"  # in the scope of a request that has passed `Endpoint.enter` before
_NOTHING: Mapping[int, int] = MappingProxyType({})

log = structlog.get_logger(__name__)

App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Taken(msgspec.Struct, gc=False):
    """A request whose events wait for the journal."""

    dialect: Any
    arrival: Arrival
    decoded: Decoded
    grant: Grant | None
    outcome: Outcome
    keys: list[tuple[int, str]]
    journaled: Future[Position]
    counted: Mapping[int, int]  # towards quotas, by project


class Endpoint:
    """The front of the application. `app` answers what is no ingest path."""

    def __init__(
        self,
        app: App,
        *,
        journal: Journal,
        drain: DrainClient,
        registry: Registry,
        salts: Salts,
        locator: Locator,
        exclusions: Exclusions,
        refusals: Refusals,
        requests_seen: Broadcast[SeenRequest],
        trusted_proxies: TrustedProxies,
        rate_limits: RateLimits,
        quotas: Quotas,
        body_bytes_max: int,
        default_project: str = "",
    ) -> None:
        self._app = app
        self._journal = journal
        self._drain = drain
        self._registry = registry
        self._salts = salts
        self._locator = locator
        self._exclusions = exclusions
        self._refusals = refusals
        self._requests_seen = requests_seen
        self._pace = Pace()
        self._trusted_proxies = trusted_proxies
        self._rate_limits = rate_limits
        self._quotas = quotas
        self._default_project = default_project
        self._recent = RecentIds()
        self.key_uses = KeyUses()
        self.crowd = Crowd()
        self.patience = Patience()
        self.arriving = Arriving()
        self._mistakes = Seldom()
        self.requests = 0
        self.accepted = 0
        self._dialects = Dialects()
        self.dialect_of = self._dialects.at
        # By dialect the largest body that is read of a request, before and after decompression.
        self.body_bytes_max = {
            dialect: max(body_bytes_max, getattr(dialect, "BODY_BYTES_MAX", 0)) for dialect in self._dialects.names
        }
        self._group: Future[Position] | None = None
        self._waiting: list[tuple[Taken, Callable[[Answer], None]]] = []  # for that

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            dialect = self.dialect_of(scope["path"])
            if dialect is not None:
                await self._serve(dialect, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _serve(self, dialect: Any, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        arrival = Arrival.of_scope(scope, now())
        self.requests += 1
        if arrival.method == "OPTIONS":
            await preflight(send, arrival, dialect.METHODS)
            return
        taken: Taken | Answer | None = self.enter(dialect, arrival, counted=COUNTED in scope)
        try:
            if taken is None:
                if arrival.method == "POST":
                    await arrival.read_body(receive, self.body_bytes_max[dialect], self.arriving)
                taken = self.take(dialect, arrival)
            if taken is None:
                await self._registry.look_again()
                taken = self.take(dialect, arrival, final=True)
        except ApplianceError as error:
            taken = self.refuse(dialect, arrival, error)
        assert taken is not None
        if isinstance(taken, Taken):
            with suppress(JournalFailed):
                await shield(taken.journaled)  # others wait for the same future
            taken = self.conclude(taken)
        if not arrival.delay:
            await send_answer(send, arrival, taken)
            return
        try:
            await sleep(arrival.delay)
        finally:
            self.patience.release()
        with suppress(RuntimeError):  # the client has left meanwhile
            await send_answer(send, arrival, taken)

    def enter(self, dialect: Any, arrival: Arrival, *, counted: bool = False) -> Answer | None:
        """Find out whose the request is, before anything is done for it; the answer, when its address has sent too
        many. `counted`: it was here before, and came in. Never raises."""
        if self._trusted_proxies:
            arrival.address = self._trusted_proxies.client(arrival.peer, arrival.header(b"x-forwarded-for"))
        if not counted:
            try:
                self._rate_limits.check_address(arrival)
            except TooMany as error:
                return self.refuse(dialect, arrival, error)
        if dialect in self._dialects.showing_limits:
            arrival.allowance = self._rate_limits.of_address(arrival.address)
        return None

    def take(self, dialect: Any, arrival: Arrival, *, final: bool = False) -> Taken | Answer | None:
        """Decode, admit, enrich and give to the journal. The answer, when there is nothing to wait for; None for a
        key or site that is not known, unless `final`: the registry is to look again. Never raises."""
        grant: Grant | None = None
        try:
            if arrival.method not in dialect.METHODS:
                return self._other_method(dialect, arrival)
            decoded = dialect.decode(arrival)
            if isinstance(decoded, Answer):
                return self._answered(dialect, arrival, grant, decoded)
            if decoded.others:
                parts = admit_parts(arrival, decoded, self._registry.catalogue, self._default_project, self._check)
                grant = parts[0].grant
                if not final and any(isinstance(part.fault, UnknownSender) for part in parts):
                    return None
                if parts[0].fault is not None and all(part.fault is not None for part in parts):
                    raise parts[0].fault
            else:
                grant = admit(arrival, decoded, self._registry.catalogue, self._default_project)
                self._check(arrival, grant)
                parts = [Part(decoded, grant, None)]
            taken = self._enrich_and_journal(dialect, arrival, parts)
        except UnknownSender as error:
            if not final:
                return None
            return self.refuse(dialect, arrival, error, grant)
        except ApplianceError as error:
            return self.refuse(dialect, arrival, error, grant)
        except Exception as error:
            # One that can be made again and again must not fill the log.
            if (unsaid := self._mistakes.due(type(error).__name__)) is not None:
                log.exception("an ingest request failed", path=arrival.path, failed_before_unsaid=unsaid)
            mistake = ApplianceError("the appliance made a mistake; it is logged")
            return self.refuse(dialect, arrival, mistake, grant)
        if isinstance(taken, Taken):
            return taken
        return self._answered(dialect, arrival, grant, dialect.encode(taken, decoded), taken)

    def _enrich_and_journal(self, dialect: Any, arrival: Arrival, parts: list[Part]) -> Taken | Outcome:
        """Enrich the events, put them into the journal, and say what became of each. Raises JournalFull,
        JournalFailed."""
        decoded, grant, _ = parts[0]
        outcome = Outcome(0, decoded.single, 0, 0, [], [], [])
        used = None  # by the part before; a key is used once by a request
        for part in parts:
            if part.fault is not None or part.grant is None:
                self._reject(dialect, arrival, part, outcome)
                continue
            if (key := part.grant.key) is not None and key is not used:
                self.key_uses.add(key, len(part.decoded.events), arrival.received)
                used = key
            self._enrich(dialect, arrival, part.decoded, part.grant, outcome)
        events = outcome.events
        if decoded.all_or_nothing and outcome.rejected:
            if grant is not None and all(fault.code == "quota" for fault in outcome.rejected):
                raise self._quotas.used_up(grant.project, arrival.received)  # to be sent again, not to be thrown away
            return outcome
        if not events:
            return outcome
        # Known duplicates are journaled as well: the drain decides, and it notices other content under the same id.
        keys = [(e.project_id, e.event_id) for e in events if not e.flags & MINTED]
        outcome.duplicates = self._recent.count_known(keys)
        outcome.accepted = len(events) - outcome.duplicates
        journaled = self._journal.append(encode_events(events))
        counted = self._quotas.count(events, outcome.duplicates) if self._quotas.months else _NOTHING
        return Taken(dialect, arrival, decoded, grant, outcome, keys, journaled, counted)

    def _enrich(self, dialect: Any, arrival: Arrival, decoded: Decoded, grant: Grant, outcome: Outcome) -> None:
        """Add the events of one project to the outcome, each with what becomes of it."""
        if grant.browser:
            self.crowd.add(arrival.address, arrival.received)
        project, catalogue = grant.project, self._registry.catalogue
        checks, sampler = self._exclusions.of(project, catalogue), self._registry.samplers.get(project.id)
        sender = Sender(arrival, grant, decoded, self._salts, self._locator, checks, sampler)
        left = self._quotas.left(project, arrival.received) if project.settings.quota_events_month else None
        first = outcome.total
        outcome.total += len(decoded.events)
        for index, sent in enumerate(decoded.events, first):
            if isinstance(sent, Rejection):
                self._note(dialect, arrival, grant, "rejected", sent.code, sent.message, None)
                sent.index = index
                outcome.rejected.append(sent)
                continue
            try:
                event = enrich(sent, sender)
                if left is not None and event.kind <= CUSTOM and not self._is_known(event):
                    if not left:
                        raise Rejected("quota", "", "the project has had all events of its month")
                    left -= 1
                outcome.events.append(event)
            except Rejected as fault:
                outcome.rejected.append(Rejection(index, fault.code, str(fault), fault.field or None))
                self._note(dialect, arrival, grant, "rejected", fault.code, str(fault), sent)
            except Dropped as drop:
                outcome.dropped.append(Drop(index, drop.reason))
                self._note(dialect, arrival, grant, "dropped", drop.reason, "", sent, drop)

    def _is_known(self, event: Event) -> bool:
        return not event.flags & MINTED and self._recent.knows((event.project_id, event.event_id))

    def _reject(self, dialect: Any, arrival: Arrival, part: Part, outcome: Outcome) -> None:
        """The events for a project that they may not be sent to."""
        decoded, grant, fault = part
        assert fault is not None
        self._note(dialect, arrival, grant, "rejected", fault.code, str(fault), None)
        first = outcome.total
        outcome.total += len(decoded.events)
        outcome.rejected += [Rejection(index, fault.code, str(fault)) for index in range(first, outcome.total)]

    def _check(self, arrival: Arrival, grant: Grant) -> None:
        """Whether a request may send what it has to the project it names. Raises Forbidden, TooMany."""
        check_origin(arrival, grant)
        self._rate_limits.check_project(arrival, grant.project)
        if grant.project.settings.quota_events_month:
            self._quotas.check(grant.project, arrival.received)

    def wait(self, taken: Taken, answer: Callable[[Answer], None]) -> None:
        """Call `answer` with the answer, once the events are in the journal or cannot be. One call of the loop does it
        for all that go there together."""
        if taken.journaled is not self._group:
            self._group, self._waiting = taken.journaled, []
            self._group.add_done_callback(partial(self._conclude_all, self._waiting))
        self._waiting.append((taken, answer))

    def _conclude_all(self, waiting: list[tuple[Taken, Callable[[Answer], None]]], group: Future[Position]) -> None:
        if self._group is group:
            self._group, self._waiting = None, []
        for taken, answer in waiting:
            try:
                answer(self.conclude(taken))
            except Exception:
                log.exception("an ingest request is not answered", path=taken.arrival.path)

    def conclude(self, taken: Taken) -> Answer:
        """The answer, once `taken.journaled` is done."""
        if taken.journaled.exception() is not None:
            self._quotas.settle(taken.counted, None, taken.arrival.received)
            return self.refuse(taken.dialect, taken.arrival, JournalFailed(), taken.grant)
        self._settle(taken)
        answer = taken.dialect.encode(taken.outcome, taken.decoded)
        return self._answered(taken.dialect, taken.arrival, taken.grant, answer, taken.outcome)

    def _settle(self, taken: Taken) -> None:
        self._recent.add(taken.keys)
        if taken.counted:
            self._quotas.settle(taken.counted, taken.journaled.result(), taken.arrival.received)
        self._drain.changed()
        self.accepted += taken.outcome.accepted

    async def submit(self, project: Project, sent: Sent) -> Outcome:
        """An event of our own, through the same steps as everybody's. Raises JournalFull, JournalFailed."""
        arrival = Arrival("POST", "", b"", {}, peer="", secure=False, received=now())
        part = Part(Decoded([sent], single=True), Grant(project, browser=False, keyless=False), None)
        taken = self._enrich_and_journal(native, arrival, [part])
        if isinstance(taken, Outcome):
            return taken
        try:
            await shield(taken.journaled)
        except JournalFailed:
            self._quotas.settle(taken.counted, None, arrival.received)
            raise
        self._settle(taken)
        return taken.outcome

    async def journal(self, records: Sequence[bytes], events: int) -> None:
        """Put events that are enriched already through the journal. Raises JournalFull, JournalFailed."""
        written = [self._journal.append(record) for record in records]
        for future in written:
            await shield(future)
        self._drain.changed()
        self.accepted += events

    def _other_method(self, dialect: Any, arrival: Arrival) -> Answer:
        allowed = ", ".join((*dialect.METHODS, "OPTIONS"))
        error = Invalid(f"use {allowed}", code="method_not_allowed", status=405)
        status, body, headers = problem(error)
        answer = Answer(status, body, [*headers, (b"allow", allowed.encode())])
        return self._answered(dialect, arrival, None, answer, error=error)

    def refuse(self, dialect: Any, arrival: Arrival, error: ApplianceError, grant: Grant | None = None) -> Answer:
        """The answer to a request of which nothing was taken; it is counted and shown with its reason."""
        if grant is None and error.status in UNREAD:
            grant = self._named(arrival)
        self._note(dialect, arrival, grant, "rejected", error.code, str(error), None)
        answer = with_retry_after(dialect.refuse(error, arrival), error)
        return self._answered(dialect, arrival, grant, answer, error=error)

    def _named(self, arrival: Arrival) -> Grant | None:
        """Whose feed a request belongs in that could not be read: what stands around its body may have a key."""
        with suppress(ApplianceError):
            nothing = Decoded([], single=False, key=arrival.query().get("key", ""))
            return admit(arrival, nothing, self._registry.catalogue)
        return None

    def _answered(
        self,
        dialect: Any,
        arrival: Arrival,
        grant: Grant | None,
        answer: Answer,
        outcome: Outcome | None = None,
        error: ApplianceError | None = None,
    ) -> Answer:
        """Every answer passes here: the request is noted, and one that was for nothing has to wait."""
        topic = grant.project.id if grant is not None else UNKNOWN_PROJECT
        if (
            outcome is not None
            and outcome.accepted == outcome.total > 0
            and self._pace.is_too_fast(topic, arrival.received)
        ):
            return answer
        seconds = perf_counter() - arrival.began
        self._requests_seen.publish(
            topic, seen(arrival, self._dialects.names[dialect], answer.status, outcome, error, seconds)
        )
        if outcome is not None:
            if len(outcome.rejected) < outcome.total:
                return answer
        elif error is None or error.status >= 500:
            return answer
        arrival.delay = self.patience.delay(arrival.address, seconds)
        return answer

    def _note(
        self,
        dialect: Any,
        arrival: Arrival,
        grant: Grant | None,
        verdict: str,
        code: str,
        message: str,
        sent: Sent | None,
        drop: Dropped | None = None,
    ) -> None:
        name = page = ""
        if sent is not None:
            name = (sent.event or sent.event_name or sent.name or "")[:100]
            page = (sent.url or sent.page_url or "").partition("?")[0][:200]
        rule = drop.rule if drop is not None else 0
        event = _kept(drop.event) if drop is not None and drop.event is not None else b""
        dialect_name = self._dialects.names[dialect]
        refusal = Refusal(arrival.received, verdict, code, message[:300], name, page, dialect_name, rule=rule)
        self._refusals.add(grant.project.id if grant is not None else UNKNOWN_PROJECT, refusal, event)


def _kept(event: Event) -> bytes:
    """What is journaled of a filtered event when it is let in. An id that we minted is remembered then like any other,
    so that the event counts once however often it is let in."""
    event.flags &= ~MINTED
    return encode_event(event)
