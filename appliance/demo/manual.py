"""Documentation of a developers' tool: working hours of two continents, desktops, assistants, Hacker News, USD."""

from collections.abc import Iterator

from appliance.demo.world import LEAVE, Act, Page, PageKind, Source, Spike, Visiting, WantedGoal, World, weights

_KINDS = {
    "home": PageKind(
        (Page("/", "Pylon: queues that never lose a job"),),
        {"guide": 44, "pricing": 12, "blog": 8, "reference": 7, LEAVE: 29},
        26,
        55,
    ),
    "guide": PageKind(
        (
            Page("/docs/quickstart", "Quickstart | Pylon docs", 18),
            Page("/docs/install/docker", "Install with Docker | Pylon docs", 11),
            Page("/docs/install/kubernetes", "Install on Kubernetes | Pylon docs", 7),
            Page("/docs/concepts/queues", "Queues | Pylon docs", 9),
            Page("/docs/concepts/retries", "Retries and back-off | Pylon docs", 10),
            Page("/docs/concepts/exactly-once", "What exactly-once means here | Pylon docs", 7),
            Page("/docs/guides/cron", "Jobs on a schedule | Pylon docs", 6),
            Page("/docs/guides/migrate-from-celery", "Migrate from Celery | Pylon docs", 6),
            Page("/docs/guides/monitoring", "Monitoring | Pylon docs", 5),
            Page("/docs/guides/upgrade-3", "Upgrade to version 3 | Pylon docs", 4),
        ),
        {"guide": 44, "reference": 17, "home": 2, "pricing": 3, "signup": 1.2, LEAVE: 34},
        105,
        68,
    ),
    "reference": PageKind(
        (
            Page("/docs/api/jobs", "Jobs API | Pylon docs", 14),
            Page("/docs/api/workers", "Workers API | Pylon docs", 9),
            Page("/docs/api/errors", "Error codes | Pylon docs", 8),
            Page("/docs/api/webhooks", "Webhooks | Pylon docs", 7),
            Page("/docs/cli", "Command line | Pylon docs", 8),
            Page("/docs/sdk/python", "Python SDK | Pylon docs", 13),
            Page("/docs/sdk/typescript", "TypeScript SDK | Pylon docs", 10),
            Page("/docs/sdk/go", "Go SDK | Pylon docs", 6),
        ),
        {"reference": 36, "guide": 17, "home": 1, "pricing": 1, LEAVE: 45},
        84,
        52,
    ),
    "blog": PageKind(
        (
            Page("/blog/we-deleted-our-message-broker", "We deleted our message broker | Pylon", 14),
            Page("/blog/pylon-3", "Pylon 3 is here | Pylon", 8),
            Page("/blog/postgres-as-a-queue", "Postgres as a queue: what breaks first | Pylon", 11),
            Page("/blog/how-we-test-for-lost-jobs", "How we test for lost jobs | Pylon", 6),
        ),
        {"blog": 11, "home": 9, "guide": 9, "pricing": 2, LEAVE: 69},
        150,
        66,
    ),
    "pricing": PageKind(
        (Page("/pricing", "Pricing | Pylon"),), {"signup": 15, "guide": 14, "home": 9, LEAVE: 62}, 42, 78
    ),
    "signup": PageKind((Page("/signup", "Create an account | Pylon"),), {"console": 46, "guide": 6, LEAVE: 48}, 55, 90),
    "console": PageKind(
        (
            Page("/console", "Console | Pylon", 7),
            Page("/console/keys", "API keys | Pylon", 3),
            Page("/console/billing", "Billing | Pylon", 1.5),
        ),
        {"console": 38, "reference": 20, "guide": 14, LEAVE: 28},
        70,
        40,
    ),
    "missing": PageKind(
        (Page("/docs/2.x/queues", "Not found | Pylon docs"),), {"guide": 34, "home": 10, LEAVE: 56}, 7, 20
    ),
}

_SEARCH = {"guide": 46, "reference": 38, "blog": 8, "home": 6, "missing": 2}
_TALK = {"blog": 70, "home": 20, "guide": 10}

_SOURCES = (
    Source(32, "https://www.google.com/", "", _SEARCH, 0.9, 0.13),
    Source(4, "https://duckduckgo.com/", "", _SEARCH, 0.9, 0.12),
    Source(3, "https://www.bing.com/", "", _SEARCH, 0.9, 0.05),
    Source(1, "https://kagi.com/", "", _SEARCH, 1.0, 0.1),
    Source(19, "", "", {"home": 44, "guide": 32, "reference": 24}, 1.1, 0.14),
    Source(9, "https://chatgpt.com/", "", {"guide": 50, "reference": 46, "missing": 4}, 1.1, 0.12),
    Source(4, "https://claude.ai/", "", {"guide": 50, "reference": 50}, 1.1, 0.06),
    Source(3, "https://www.perplexity.ai/", "", {"guide": 60, "reference": 40}, 1.1, 0.12),
    Source(1, "https://gemini.google.com/", "", {"guide": 60, "reference": 40}, 1.1, 0.2),
    Source(10, "https://github.com/pylon-queue/pylon", "", {"guide": 52, "home": 30, "reference": 18}, 1.15, 0.08),
    Source(4, "https://stackoverflow.com/", "", {"reference": 60, "guide": 40}, 0.85, 0.07),
    Source(3, "https://news.ycombinator.com/", "", _TALK, 0.6, 0.45),
    Source(3, "https://www.reddit.com/r/python/", "", _TALK, 0.65, 0.45),
    Source(1, "https://lobste.rs/", "", _TALK, 0.65, 0.3),
    Source(2, "https://www.linkedin.com/", "", _TALK, 0.6, 0.6),
    Source(2, "https://bsky.app/", "", _TALK, 0.6, 0.6),
    Source(
        2, "https://www.google.com/", "utm_source=google&utm_medium=cpc&utm_campaign=job-queue&gclid=Cj0KCQiA",
        {"home": 60, "pricing": 40}, 0.8, 0.1,
    ),
    Source(2, "", "utm_source=python-weekly&utm_medium=newsletter&utm_campaign=sponsor-nov", _TALK, 0.7, 0.5),
)  # fmt: skip

_RETURN_SOURCES = (
    Source(62, "", "", {"reference": 36, "guide": 30, "console": 26, "home": 8}, 1.3, 0.08),
    Source(28, "https://www.google.com/", "", {"reference": 55, "guide": 40, "home": 5}, 1.1, 0.08),
    Source(6, "https://github.com/pylon-queue/pylon", "", {"guide": 60, "reference": 40}, 1.1, 0.06),
    Source(4, "", "utm_source=changelog&utm_medium=email&utm_campaign=pylon-3", {"blog": 60, "guide": 40}, 1.0, 0.4),
)

_QUERIES = (
    "retry", "timeout", "cron", "dead letter", "webhook signature", "rate limit", "priority", "concurrency", "batch",
)  # fmt: skip
_LANGUAGES = ("python", "python", "shell", "typescript", "go")
_PLANS = (("team", 49.0), ("team", 49.0), ("team", 49.0), ("scale", 199.0))


def _acts(visiting: Visiting) -> Iterator[Act]:
    chance, page = visiting.chance, visiting.page
    if visiting.kind in ("guide", "reference"):
        if chance.random() < 0.09:
            yield Act(0.05, "Search", {"query": chance.choice(_QUERIES), "results": chance.randrange(1, 24)})
        if chance.random() < 0.14:
            yield Act(0.6, "Copy code", {"page": page.path, "language": chance.choice(_LANGUAGES)})
        if chance.random() < 0.05:
            yield Act(0.97, "Feedback", {"page": page.path, "helpful": "yes" if chance.random() < 0.83 else "no"})
    elif visiting.kind == "home" and chance.random() < 0.08:
        yield Act(0.9, "Outbound Link: Click", {"url": "https://github.com/pylon-queue/pylon"})
    elif visiting.kind == "console" and visiting.before == "signup":
        yield Act(0.02, "Signup", {"plan": "free", "method": chance.choice(("github", "github", "google", "email"))})
    elif page.path == "/console/billing" and chance.random() < 0.25:
        plan, price = chance.choice(_PLANS)
        yield Act(0.8, "Upgrade", {"plan": plan}, price)
    elif visiting.kind == "missing":
        yield Act(0.01, "404", {"path": page.path}, interactive=False)


_HACKER_NEWS = Source(1, "https://news.ycombinator.com/", "", {"blog": 88, "home": 9, "guide": 3}, 0.55, 0.48)

MANUAL = World(
    slug="docs",
    name="Pylon docs",
    domain="docs.pylon.example",
    timezone="America/New_York",
    currency="USD",
    share=0.4,
    hours=(18, 17, 19, 24, 32, 42, 50, 58, 70, 88, 100, 98, 84, 88, 96, 92, 82, 66, 48, 40, 38, 36, 30, 23),
    weekend_hours=(20, 17, 16, 17, 20, 24, 28, 32, 36, 40, 42, 42, 40, 40, 42, 42, 40, 38, 36, 36, 36, 34, 30, 25),
    weekdays=(1.1, 1.16, 1.17, 1.13, 1.0, 0.52, 0.54),
    growth=0.22,
    spike=Spike(5, 3.4, _HACKER_NEWS),
    countries=weights(
        "US 36, IN 9, DE 8.5, GB 8, CA 5, FR 4, NL 3.4, BR 3.2, PL 3, AU 2.8, SE 2, ES 2, JP 1.8, CH 1.6, SG 1.6,"
        "IT 1.4, IL 1.2, CN 1, KR 1, AT 0.8, CZ 0.8, DK 0.8, FI 0.8, IE 0.8, MX 0.8, NO 0.8, PT 0.8, TR 0.8, TW 0.8,"
        "BE 0.7, NZ 0.6, ZA 0.5"
    ),
    sources=_SOURCES,
    return_sources=_RETURN_SOURCES,
    kinds=_KINDS,
    basket_kinds=frozenset(),
    acts=_acts,
    returns=0.38,
    members=0.12,
    keeps_id=False,
    events_per_visit=2.75,
    goals=(
        WantedGoal("event", "Signup"),
        WantedGoal("page", "/pricing"),
        WantedGoal("page", "/docs/install/*", "Read how to install"),
    ),
)  # fmt: skip
