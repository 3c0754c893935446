"""What is the same for every event of one request: the project, the client's address and agent, the clock's skew."""

from collections.abc import Mapping
from typing import Protocol

from appliance.clock import DAY
from appliance.ingest.admission import Grant, bare_domain
from appliance.ingest.arrival import Arrival
from appliance.ingest.geo import Locator, Place
from appliance.ingest.page_names import page_name
from appliance.ingest.sampling import Sampler
from appliance.ingest.sent import Decoded, Scalar, Sent
from appliance.ingest.times import read_time
from appliance.ingest.user_agent import Agent, read_agent
from appliance.ingest.verdict import Verdict
from appliance.ingest.visitor import Salts, persistent, rotating
from appliance.model import Event, Project

NOWHERE = Place("", "", "")
_NO_AGENT = Agent("", "", "", "", "", bot=False)

_OWN_HOSTS: dict[tuple[str, ...], frozenset[str]] = {}


class Sender:
    """Made once a request. Address and agent are the visitor's own (SEMANTICS, Identity): the connection's when the
    request is a browser's, else those that the event states, if the project honours that."""

    __slots__ = (
        "_address", "_agent", "_agent_of", "_agent_text", "_locator", "_place", "_place_of", "_salts", "_user_agent",
        "browser", "checks", "domains", "engagement_by_page", "headers", "keyless", "language", "own_hosts", "project",
        "received", "sampler", "signal", "skew",
    )  # fmt: skip

    def __init__(
        self,
        arrival: Arrival,
        grant: Grant,
        decoded: Decoded,
        salts: Salts,
        locator: Locator,
        checks: "Checks | None" = None,
        sampler: Sampler | None = None,  # without one everything is kept
    ) -> None:
        project = grant.project
        headers = arrival.headers
        self.headers: Mapping[bytes, bytes] = headers
        self.checks = checks
        self.project: Project = project
        self.browser = grant.browser
        self.keyless = grant.keyless
        self.domains = grant.domains
        self.received = arrival.received
        self.sampler = sampler
        self.own_hosts = _own_hosts(project)
        self.skew = _skew(decoded.sent_at, arrival.received)
        self.engagement_by_page = decoded.engagement_by_page
        self.signal = headers.get(b"sec-gpc") == b"1" or headers.get(b"dnt") == b"1"
        self.language = ""
        self._address = ""
        self._user_agent = ""
        if grant.browser:
            self._address = arrival.address
            self._user_agent = arrival.header(b"user-agent")
            self.language = arrival.header(b"accept-language").partition(",")[0].partition(";")[0]
        self._salts = salts
        self._locator = locator
        self._agent = _NO_AGENT
        self._agent_text: str | None = None  # whose `_agent` is
        self._agent_of: Sent | None = None
        self._place = NOWHERE
        self._place_of = ("", "")  # address and time zone

    def address(self, sent: Sent) -> str:
        if self.browser or not sent.ip or not self.project.settings.trust_stated_address:
            return self._address
        return sent.ip[:64]

    def user_agent(self, sent: Sent) -> str:
        return self._user_agent if self.browser else (sent.user_agent or "")[:512]

    def agent(self, sent: Sent) -> Agent:
        """Device and whether it is a bot."""
        if sent is not self._agent_of:  # it is asked for twice an event
            self._agent_of = sent
            text = self.user_agent(sent)
            if text != self._agent_text:
                self._agent, self._agent_text = read_agent(text), text
        return self._agent

    def place(self, sent: Sent) -> Place:
        of = self.address(sent), sent.timezone or ""
        if of != self._place_of:
            self._place, self._place_of = self._locator.locate(*of), of
        return self._place

    def rotating(self, day: int, sent: Sent, session: str) -> tuple[int, int]:
        """The visitor's rotating id for a local day, and the day whose salt was used: the receipt day's when that
        day's salt is gone. A server that says nothing of its visitor but a session id is believed in that."""
        address, agent = self.address(sent), self.user_agent(sent)
        salt, used = self._salt(day)
        return rotating(salt, self.project.id, address or ("" if agent else session), agent), used

    def persistent(self, kind: str, identity: str) -> int:
        return persistent(self._salts.secret, self.project.id, kind, identity)

    def page_name(self, day: int, visitor: int, event: Event) -> str:
        """What page views of that visitor on that local day, on the event's page, are called."""
        return page_name(*self._salt(day), visitor, event.hostname, event.path)

    def _salt(self, day: int) -> tuple[bytes, int]:
        """The salt of a local day, the receipt day's when that is gone; and whose it is."""
        salt = self._salts.of(day)
        if salt is not None:
            return salt, day
        day = self.received // DAY
        return self._salts.of(day) or self._salts.mint(day), day


class Checks(Protocol):
    """What says whether an event is filtered (exclusions.py)."""

    def verdict(self, event: Event, sent: Sent, sender: Sender) -> Verdict | None: ...


def _own_hosts(project: Project) -> frozenset[str]:
    hosts = _OWN_HOSTS.get(project.domains)
    if hosts is None:
        if len(_OWN_HOSTS) > 10_000:
            _OWN_HOSTS.clear()
        hosts = _OWN_HOSTS[project.domains] = frozenset(bare_domain(d) for d in project.domains)
    return hosts


def _skew(sent_at: Scalar, received: int) -> int:
    """Microseconds to add to the client's times: receipt minus the client's clock at sending, as Segment does.

    Below a second it is the way the request took, not the clock's fault.
    """
    if sent_at is None:
        return 0
    try:
        skew = received - read_time(sent_at)
    except ValueError:
        return 0
    return skew if abs(skew) >= 1_000_000 else 0
