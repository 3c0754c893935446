"""What is the same for every event of one request: the project, the client's address and agent, the clock's skew."""

from collections.abc import Mapping
from typing import Protocol

from appliance.clock import DAY
from appliance.ingest.admission import Grant, bare_domain
from appliance.ingest.arrival import Arrival
from appliance.ingest.geo import Locator, Place
from appliance.ingest.sent import Scalar, Sent
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
        "_address", "_agent", "_agent_text", "_locator", "_salts", "_user_agent",
        "browser", "checks", "headers", "keyless", "language", "own_hosts", "project", "received", "signal", "skew",
    )  # fmt: skip

    def __init__(
        self,
        arrival: Arrival,
        grant: Grant,
        sent_at: Scalar,
        salts: Salts,
        locator: Locator,
        checks: "Checks | None" = None,
    ) -> None:
        project = grant.project
        headers = arrival.headers
        self.headers: Mapping[bytes, bytes] = headers
        self.checks = checks
        self.project: Project = project
        self.browser = grant.browser
        self.keyless = grant.keyless
        self.received = arrival.received
        self.own_hosts = _own_hosts(project)
        self.skew = _skew(sent_at, arrival.received)
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

    def address(self, sent: Sent) -> str:
        if self.browser or not sent.ip or not self.project.settings.trust_stated_address:
            return self._address
        return sent.ip[:64]

    def user_agent(self, sent: Sent) -> str:
        return self._user_agent if self.browser else (sent.user_agent or "")[:512]

    def agent(self, sent: Sent) -> Agent:
        """Device and whether it is a bot."""
        text = self.user_agent(sent)
        if text != self._agent_text:
            self._agent, self._agent_text = read_agent(text), text
        return self._agent

    def place(self, sent: Sent) -> Place:
        address = self.address(sent)
        return self._locator.locate(address, sent.timezone or "") if address or sent.timezone else NOWHERE

    def rotating(self, day: int, sent: Sent, session: str) -> tuple[int, int]:
        """The visitor's rotating id for a local day, and the day whose salt was used: the receipt day's when that
        day's salt is gone. A server that says nothing of its visitor but a session id is believed in that."""
        address, agent = self.address(sent), self.user_agent(sent)
        used = day
        salt = self._salts.of(day)
        if salt is None:
            used = self.received // DAY
            salt = self._salts.of(used) or b""
        return rotating(salt, self.project.id, address or ("" if agent else session), agent), used

    def persistent(self, kind: str, identity: str) -> int:
        return persistent(self._salts.secret, self.project.id, kind, identity)


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
