"""The ASGI function in front: takes the ingest paths itself, hands everything else to the application behind.

A router and middleware would cost more than all the work done here, so there are none: a table of paths, one dialect
each, and the same six steps for every request: read, decode, admit, enrich, journal, answer.

All but the reading and the waiting is plain functions (`take`, `conclude`), so that `protocol` can serve the usual
request without a task and an ASGI cycle of its own, and both ways do the same.
"""

from asyncio import Future, shield, sleep
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, Protocol

import msgspec
import structlog

from appliance.broadcast import Broadcast
from appliance.clock import now
from appliance.errors import ApplianceError, Invalid, JournalFailed
from appliance.ingest.admission import Grant, UnknownSender, admit, check_origin
from appliance.ingest.answers import Answer, Send, preflight, problem, send_answer
from appliance.ingest.arrival import Arrival, Receive
from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.crowd import Crowd
from appliance.ingest.dialects import native, pixel
from appliance.ingest.drain import encode_event, encode_events
from appliance.ingest.drain_client import DrainClient
from appliance.ingest.exclusions import Exclusions
from appliance.ingest.geo import Locator
from appliance.ingest.journal import Journal
from appliance.ingest.outcome import Outcome
from appliance.ingest.patience import Patience
from appliance.ingest.pipeline import Dropped, Rejected, enrich
from appliance.ingest.recent import RecentIds
from appliance.ingest.refusals import UNKNOWN_PROJECT, Refusal, Refusals
from appliance.ingest.registry import Registry
from appliance.ingest.seen_requests import SeenRequest, seen
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Decoded, Drop, Rejection, Sent
from appliance.ingest.visitor import Salts
from appliance.model import Event, Flag, Project
from appliance.storage.interface import Position
from appliance.telemetry import Seldom

MINTED = int(Flag.MINTED)

log = structlog.get_logger(__name__)

App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Dialect(Protocol):
    """A wire format: a module with these names."""

    PATHS: tuple[str, ...]
    METHODS: tuple[str, ...]

    def decode(self, arrival: Arrival) -> Decoded | Answer:
        """The events of a request, or the answer to one that brings none. Raises Invalid."""
        ...

    def encode(self, outcome: Outcome, decoded: Decoded) -> Answer:
        """The answer to a request that was admitted; `decoded` is what `decode` gave."""
        ...

    def refuse(self, error: ApplianceError, arrival: Arrival) -> Answer:
        """The answer to a request of which nothing was taken."""
        ...


DIALECTS: Sequence[Any] = (native, pixel)  # modules; mypy does not see them as the protocol they follow


class Taken(msgspec.Struct, gc=False):
    """A request whose events wait for the journal."""

    dialect: Any
    arrival: Arrival
    decoded: Decoded
    grant: Grant
    outcome: Outcome
    keys: list[tuple[int, str]]
    journaled: Future[Position]


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
        body_bytes_max: int,
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
        self._trusted_proxies = trusted_proxies
        self.body_bytes_max = body_bytes_max
        self._recent = RecentIds()
        self.crowd = Crowd()
        self.patience = Patience()
        self._mistakes = Seldom()
        self.requests = 0
        self.accepted = 0
        self._dialects = {}
        self._names = {dialect: dialect.__name__.rpartition(".")[2] for dialect in DIALECTS}
        for dialect in DIALECTS:
            for path in dialect.PATHS:
                self._dialects[path] = self._dialects[path + "/"] = dialect

    def dialect_of(self, path: str) -> Any | None:
        """The dialect that is spoken at a path; None for what is no ingest path."""
        return self._dialects.get(path)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            dialect = self._dialects.get(scope["path"])
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
        try:
            if arrival.method == "POST":
                await arrival.read_body(receive, self.body_bytes_max)
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

    def take(self, dialect: Any, arrival: Arrival, *, final: bool = False) -> Taken | Answer | None:
        """Decode, admit, enrich and give to the journal. The answer, when there is nothing to wait for; None for a
        key or site that is not known, unless `final`: the registry is to look again. Never raises."""
        grant: Grant | None = None
        try:
            if arrival.method not in dialect.METHODS:
                return self._other_method(dialect, arrival)
            if self._trusted_proxies:
                arrival.address = self._trusted_proxies.client(arrival.peer, arrival.header(b"x-forwarded-for"))
            decoded = dialect.decode(arrival)
            if isinstance(decoded, Answer):
                return self._answered(dialect, arrival, grant, decoded)
            grant = admit(arrival, decoded, self._registry.catalogue)
            if grant.browser:
                self.crowd.add(arrival.address, arrival.received)
            check_origin(arrival, grant)
            taken = self._enrich_and_journal(dialect, arrival, decoded, grant)
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

    def _enrich_and_journal(self, dialect: Any, arrival: Arrival, decoded: Decoded, grant: Grant) -> Taken | Outcome:
        """Enrich the events, put them into the journal, and say what became of each. Raises JournalFull,
        JournalFailed."""
        outcome = Outcome(0, decoded.single, 0, 0, [], [], [])
        self._enrich(dialect, arrival, decoded, grant, outcome)
        for other in decoded.others:
            self._enrich_other(dialect, arrival, other, outcome)
        events = outcome.events
        if not events:
            return outcome
        # Known duplicates are journaled as well: the drain decides, and it notices other content under the same id.
        keys = [(e.project_id, e.event_id) for e in events if not e.flags & MINTED]
        outcome.duplicates = self._recent.count_known(keys)
        outcome.accepted = len(events) - outcome.duplicates
        return Taken(dialect, arrival, decoded, grant, outcome, keys, self._journal.append(encode_events(events)))

    def _enrich(self, dialect: Any, arrival: Arrival, decoded: Decoded, grant: Grant, outcome: Outcome) -> None:
        """Add the events of one project to the outcome, each with what becomes of it."""
        checks = self._exclusions.of(grant.project, self._registry.catalogue)
        sender = Sender(arrival, grant, decoded.sent_at, self._salts, self._locator, checks)
        first = outcome.total
        outcome.total += len(decoded.events)
        for index, sent in enumerate(decoded.events, first):
            if isinstance(sent, Rejection):
                self._note(dialect, arrival, grant, "rejected", sent.code, sent.message, None)
                sent.index = index
                outcome.rejected.append(sent)
                continue
            try:
                outcome.events.append(enrich(sent, sender))
            except Rejected as fault:
                outcome.rejected.append(Rejection(index, fault.code, str(fault), fault.field))
                self._note(dialect, arrival, grant, "rejected", fault.code, str(fault), sent)
            except Dropped as drop:
                outcome.dropped.append(Drop(index, drop.reason))
                self._note(dialect, arrival, grant, "dropped", drop.reason, "", sent, drop)

    def _enrich_other(self, dialect: Any, arrival: Arrival, decoded: Decoded, outcome: Outcome) -> None:
        """The same for another project of the same request; where it may not be sent to, its events are rejected."""
        grant: Grant | None = None
        try:
            grant = admit(arrival, decoded, self._registry.catalogue)
            check_origin(arrival, grant)
        except ApplianceError as error:
            self._note(dialect, arrival, grant, "rejected", error.code, str(error), None)
            indices = range(outcome.total, outcome.total + len(decoded.events))
            outcome.rejected += [Rejection(index, error.code, str(error)) for index in indices]
            outcome.total += len(decoded.events)
        else:
            self._enrich(dialect, arrival, decoded, grant, outcome)

    def conclude(self, taken: Taken) -> Answer:
        """The answer, once `taken.journaled` is done."""
        if taken.journaled.exception() is not None:
            return self.refuse(taken.dialect, taken.arrival, JournalFailed(), taken.grant)
        self._settle(taken)
        answer = taken.dialect.encode(taken.outcome, taken.decoded)
        return self._answered(taken.dialect, taken.arrival, taken.grant, answer, taken.outcome)

    def _settle(self, taken: Taken) -> None:
        self._recent.add(taken.keys)
        self._drain.changed()
        self.accepted += taken.outcome.accepted

    async def submit(self, project: Project, sent: Sent) -> Outcome:
        """An event of our own, through the same steps as everybody's. Raises JournalFull, JournalFailed."""
        arrival = Arrival("POST", "", b"", {}, peer="", secure=False, received=now())
        decoded = Decoded([sent], single=True)
        taken = self._enrich_and_journal(native, arrival, decoded, Grant(project, browser=False, keyless=False))
        if isinstance(taken, Outcome):
            return taken
        await shield(taken.journaled)
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
        self._note(dialect, arrival, grant, "rejected", error.code, str(error), None)
        return self._answered(dialect, arrival, grant, dialect.refuse(error, arrival), error=error)

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
        seconds = perf_counter() - arrival.began
        self._requests_seen.publish(
            grant.project.id if grant is not None else UNKNOWN_PROJECT,
            seen(arrival, self._names[dialect], answer.status, outcome, error, seconds),
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
        refusal = Refusal(arrival.received, verdict, code, message[:300], name, page, self._names[dialect], rule)
        self._refusals.add(grant.project.id if grant is not None else UNKNOWN_PROJECT, refusal, event)


def _kept(event: Event) -> bytes:
    """What is journaled of a filtered event when it is let in. An id that we minted is remembered then like any other,
    so that the event counts once however often it is let in."""
    event.flags &= ~MINTED
    return encode_event(event)
