"""Logs and the numbers that an operator watches."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import structlog

THINGS_MAX = 1000  # that `Seldom` knows apart


class Seldom:
    """Lets the same thing be said once in a while, whoever makes it happen again and again."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._said: dict[str, tuple[float, int]] = {}  # when it was said, how often it was left out since

    def due(self, what: str) -> int | None:
        """How often it was left out since it was said last; None: it is left out now, too."""
        now = time.monotonic()
        said, unsaid = self._said.get(what, (-math.inf, 0))
        if now - said < self._seconds:
            self._said[what] = said, unsaid + 1
            return None
        if len(self._said) > THINGS_MAX:
            self._said.clear()
        self._said[what] = now, 0
        return unsaid


class _Filter(logging.Filter):
    """What libraries say, such as that somebody sent what is no HTTP, must not fill the log."""

    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def filter(self, record: logging.LogRecord) -> bool:
        unsaid = self._seldom.due(f"{record.name} {record.msg}")
        if unsaid:
            record.msg = f"{record.msg} (and {unsaid} times before, unsaid)"
        return unsaid is not None


def configure_logs(log_format: str) -> None:
    """One line an event on standard error: JSON, or text for people. Idempotent."""
    renderer = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module; what they say at warning level or above is passed on.
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Filter())
    handler.setFormatter(
        _json_of_libraries() if log_format == "json" else logging.Formatter("%(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _json_of_libraries() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )


class Problem(NamedTuple):
    """Why an appliance is not ready: what anybody may know, and what else who runs it should."""

    text: str
    cause: str = ""


class Health(NamedTuple):
    """The state of a running appliance. `problems` are empty when it is ready."""

    ready: bool
    problems: tuple[Problem, ...]
    uptime_seconds: float
    requests: int
    accepted: int
    stored: int
    duplicates: int
    conflicts: int
    dead_letters: int
    drain_restarts: int
    lag_seconds: float
    journal_bytes: int
    journal_bytes_max: int
    journal_backlog_bytes: int
    database_bytes: int
    database_software: str
    database_remarks: tuple[str, ...]
    database_aggregates: Mapping[str, str]  # name: what it is in this database
    disk_free_bytes: int
    refused: dict[str, int]  # by reason, since start


def metrics(health: Health) -> Iterable[tuple[str, str, str, list[tuple[dict[str, str], float]]]]:
    """Health as Prometheus families: (name, kind, help, samples of (labels, value))."""

    def one(value: float) -> list[tuple[dict[str, str], float]]:
        return [({}, value)]

    yield "appliance_ready", "gauge", "1 when the appliance is ready.", one(health.ready)
    yield "appliance_uptime_seconds", "gauge", "Seconds since start.", one(health.uptime_seconds)
    yield "appliance_ingest_requests", "counter", "Requests on ingest paths.", one(health.requests)
    yield "appliance_events_accepted", "counter", "Events journaled.", one(health.accepted)
    yield "appliance_events_stored", "counter", "Events stored in the database.", one(health.stored)
    yield "appliance_events_duplicate", "counter", "Events known already.", one(health.duplicates)
    yield "appliance_events_conflict", "counter", "Known ids with other content.", one(health.conflicts)
    yield "appliance_dead_letters", "counter", "Events the database refused.", one(health.dead_letters)
    yield "appliance_drain_lag_seconds", "gauge", "Age of the oldest event not stored yet.", one(health.lag_seconds)
    yield "appliance_drain_restarts", "counter", "Times the drain had to be started again.", one(health.drain_restarts)
    yield "appliance_journal_bytes", "gauge", "Bytes of the journal.", one(health.journal_bytes)
    yield "appliance_journal_backlog_bytes", "gauge", "Journal not drained yet.", one(health.journal_backlog_bytes)
    yield "appliance_database_bytes", "gauge", "Bytes of the database.", one(health.database_bytes)
    yield "appliance_disk_free_bytes", "gauge", "Free bytes where the data folder is.", one(health.disk_free_bytes)
    refused = [({"reason": reason}, float(n)) for reason, n in sorted(health.refused.items())]
    yield "appliance_events_refused", "counter", "Events filtered or refused, by reason.", refused


HealthCheck = Callable[[], Health]
