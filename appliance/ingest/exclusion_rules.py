"""A project's own rules of what is filtered, made ready for being asked for each event.

Two hundred rules cost little more than two: what is compared as a whole is looked up in a table, networks in one table
for each length of a prefix, and all patterns of paths are one automaton, whose answers are kept.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import re2

from appliance.ingest.admission import bare_domain
from appliance.ingest.networks import packed, read_network
from appliance.ingest.sender import Sender
from appliance.ingest.sent import Sent
from appliance.ingest.verdict import Verdict
from appliance.model import Event
from appliance.storage.exclusions import Rule, RuleKind
from appliance.storage.matching import path_pattern

PATHS_CACHED_MAX = 512
HOSTS_CACHED_MAX = 512
# RE2 gives the states of its automaton up and starts afresh at this limit; what it compiles to is a fraction.
PATHS_MEMORY_BYTES_MAX = 8 << 20

REASONS: dict[RuleKind, str] = {
    "address": "blocked_address",
    "country": "blocked_country",
    "hostname": "blocked_hostname",
    "only_hostname": "hostname",
    "path": "blocked_path",
    "referrer": "referrer_spam",
}
OTHER_HOST = Verdict(REASONS["only_hostname"])


class Rules:
    """`verdict` says which rule an event falls under. Of several of one kind the narrowest counts, else the oldest."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        def of(kind: RuleKind) -> dict[str, Verdict]:
            # The oldest last, so that it stands.
            return {r.value: Verdict(REASONS[kind], r.id) for r in reversed(rules) if r.kind == kind}

        self._networks = _by_length(of("address"))
        self._countries = of("country")
        self._hosts = of("hostname")
        self._only_hosts = of("only_hostname")
        self._referrers = of("referrer")
        paths = of("path")
        self._paths = {path: verdict for path, verdict in paths.items() if "*" not in path}
        self._patterns = [(path_pattern(path), verdict) for path, verdict in paths.items() if "*" in path]
        self._any_pattern = _automaton(pattern for pattern, _ in self._patterns)
        self._of_host = lru_cache(HOSTS_CACHED_MAX)(self._look_up_host)
        self._of_path = lru_cache(PATHS_CACHED_MAX)(self._look_up_path)

    def verdict(self, event: Event, sent: Sent, sender: Sender) -> Verdict | None:
        verdict = None
        if self._networks:
            verdict = self._of_address(sender.address(sent))
        if verdict is None and self._countries:
            # Events without a place of their own have their sender's.
            verdict = self._countries.get(event.country or sender.place(sent).country)
        if verdict is None and (self._hosts or self._only_hosts) and event.hostname:
            verdict = self._of_host(event.hostname)
        if verdict is None and (self._paths or self._patterns) and event.path:
            verdict = self._of_path(event.path)
        if verdict is None and self._referrers and event.referrer:
            verdict = of_parent(self._referrers, bare_domain(event.referrer.partition("/")[0]))
        return verdict

    def _of_address(self, address: str) -> Verdict | None:
        number = packed(address) if address else None
        if number is not None:
            for rest, networks in self._networks:
                if (verdict := networks.get(number >> rest)) is not None:
                    return verdict
        return None

    def _look_up_host(self, hostname: str) -> Verdict | None:
        host = bare_domain(hostname)
        if (verdict := _host_or_below(self._hosts, host)) is not None:
            return verdict
        return OTHER_HOST if self._only_hosts and _host_or_below(self._only_hosts, host) is None else None

    def _look_up_path(self, path: str) -> Verdict | None:
        if (verdict := self._paths.get(path)) is not None:
            return verdict
        if self._any_pattern is None or self._any_pattern.search(path) is None:
            return None
        return next((verdict for pattern, verdict in self._patterns if re2.search(pattern, path) is not None), None)


def of_parent(domains: dict[str, Verdict], host: str) -> Verdict | None:
    """The verdict on a host, or on the nearest domain above it."""
    while host:
        if (verdict := domains.get(host)) is not None:
            return verdict
        host = host.partition(".")[2]
    return None


def _host_or_below(hosts: dict[str, Verdict], host: str) -> Verdict | None:
    """The verdict on a host itself, or by a `*.` and the nearest domain above it."""
    if (verdict := hosts.get(host)) is not None:
        return verdict
    while host := host.partition(".")[2]:
        if (verdict := hosts.get(f"*.{host}")) is not None:
            return verdict
    return None


def _by_length(networks: dict[str, Verdict]) -> list[tuple[int, dict[int, Verdict]]]:
    """A table for each length of a prefix, the longest first: how many bits stand behind it, and by those before."""
    tables: dict[int, dict[int, Verdict]] = {}
    for text, verdict in networks.items():
        network = read_network(text)
        rest = 128 - network.bits
        tables.setdefault(rest, {})[network.first >> rest] = verdict
    return sorted(tables.items())


def _automaton(patterns: Iterable[str]) -> Any | None:
    """One pattern for all; None without any."""
    joined = "|".join(patterns)
    if not joined:
        return None
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = PATHS_MEMORY_BYTES_MAX
    return re2.compile(joined, options)
