"""What is filtered although nothing is wrong with it, each with a reason that is counted: bots, pages that are loaded
ahead, data centres, referrer spam, and what a project's own rules say.

It is the last thing that happens to an event, which is then ready for the journal, so that what is filtered can be
let in later. Looked at are only a visitor's own address, agent and headers. Signs in headers are those that no browser
of a person shows:

* no Accept-Language beside Sec-Fetch-Site. Browsers that send the latter say their language in every request (Fetch,
  "HTTP-network-or-cache fetch"). Where none did so far, a proxy takes the header away, and its absence says nothing;
* From, the address to complain to about a robot (RFC 9110, 10.1.2);
* HeadlessChrome among the brands, which Chrome without a window says there under any agent;
* a purpose of prefetch, prerender or preview: a page that is loaded in case somebody wants it was seen by nobody.
  Trackers that know of this send when it is shown; an image in the page cannot. Sec-Purpose is today's name.
"""

from functools import cache, lru_cache
from pathlib import Path

from appliance.ingest.data_centres import DataCentres
from appliance.ingest.exclusion_rules import Rules, of_parent
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Sent
from appliance.ingest.verdict import Verdict
from appliance.model import Event, Project, ProjectSettings
from appliance.storage.catalogue import Catalogue
from appliance.storage.exclusions import Rule

REFERRERS_CACHED_MAX = 4096

AUTOMATION = Verdict("automation")
BOT = Verdict("bot")
BOT_HEADERS = Verdict("bot_headers")
PRERENDER = Verdict("prerender")
DATA_CENTER = Verdict("data_center")
REFERRER_SPAM = Verdict("referrer_spam")

_SPAM = Path(__file__).with_name("data") / "referrer_spam.txt"


class Exclusions:
    """What each project filters: asked once a request, made ready when a project's settings or rules change."""

    def __init__(self, data_centres: DataCentres) -> None:
        self.data_centres = data_centres
        self._languages = _Languages()
        self._catalogue: Catalogue | None = None
        self._current: dict[int, Checks] = {}  # by this catalogue
        self._made: dict[int, Checks] = {}

    def of(self, project: Project, catalogue: Catalogue) -> "Checks":
        """The checks of a project as it stands in a catalogue."""
        if catalogue is not self._catalogue:
            self._catalogue, self._current = catalogue, {}
        checks = self._current.get(project.id)
        if checks is None:
            rules = catalogue.exclusions.get(project.id, ())
            checks = self._made.get(project.id)
            if checks is None or (checks.settings, checks.rules) != (project.settings, rules):
                checks = self._made[project.id] = Checks(project.settings, rules, self.data_centres, self._languages)
            self._current[project.id] = checks
        return checks


def checks_of(project: Project, rules: tuple[Rule, ...], data_centres: DataCentres) -> "Checks":
    """The checks of a project whose events come from elsewhere than requests."""
    return Checks(project.settings, rules, data_centres, _Languages())


class _Languages:
    """Whether any browser has said its language to this process."""

    come = False


class Checks:
    """What the events of one project go through: `verdict` has the order."""

    __slots__ = ("_bots", "_centres", "_languages", "_own", "_spam", "rules", "settings")

    def __init__(
        self, settings: ProjectSettings, rules: tuple[Rule, ...], centres: DataCentres, languages: _Languages
    ) -> None:
        self.settings = settings
        self.rules = rules
        self._languages = languages
        self._bots = settings.drop_bots
        self._centres = centres if settings.drop_data_centres and centres else None
        self._spam = settings.drop_referrer_spam
        self._own = Rules(rules).verdict if rules else None

    def verdict(self, event: Event, sent: Sent, sender: Sender) -> Verdict | None:
        """The first reason to filter an event, None without any.

        One function: to call one for each line costs more than what they do.
        """
        if sent.automation:  # our tracker says of itself that a program drives the browser
            return AUTOMATION
        bots = self._bots
        if bots and sender.agent(sent).bot:
            return BOT
        if sender.browser:
            headers = sender.headers
            if b"accept-language" in headers:
                self._languages.come = True
            elif bots and self._languages.come and b"sec-fetch-site" in headers:
                return BOT_HEADERS
            if bots and (b"from" in headers or b"HeadlessChrome" in headers.get(b"sec-ch-ua", b"")):
                return BOT_HEADERS
            purpose = (
                headers.get(b"sec-purpose")
                or headers.get(b"purpose")
                or headers.get(b"x-purpose")
                or headers.get(b"x-moz")
            )
            if purpose is not None and _is_ahead(purpose):
                return PRERENDER
        if self._centres is not None and sender.address(sent) in self._centres:
            return DATA_CENTER
        if self._spam and event.referrer and _is_spam(event.referrer.partition("/")[0]):
            return REFERRER_SPAM
        return self._own(event, sent, sender) if self._own is not None else None


def _is_ahead(purpose: bytes) -> bool:
    purpose = purpose.lower()
    return b"prefetch" in purpose or b"prerender" in purpose or b"preview" in purpose


@lru_cache(REFERRERS_CACHED_MAX)
def _is_spam(host: str) -> bool:
    return of_parent(_spam(), host) is not None


@cache
def _spam() -> dict[str, Verdict]:
    lines = _SPAM.read_text("utf-8").splitlines()
    return {line: REFERRER_SPAM for line in lines if line and not line.startswith("#")}
