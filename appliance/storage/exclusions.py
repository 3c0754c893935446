"""A project's own rules of what is filtered before it is stored: with who made each, when, and a note.

A rule that is taken back is still named for a while, because what it filtered is kept for as long and may be let in.
"""

import ipaddress
from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec

from appliance.clock import HOUR
from appliance.errors import Invalid, NotFound
from appliance.model import Project
from appliance.storage import audit, project_fields
from appliance.storage.catalogue_version import BUMP, Statement
from appliance.storage.interface import Database, Row

RULES_MAX: Final = 500  # of a project, in force
PATH_CHARACTERS_MAX: Final = 1_000
NOTE_CHARACTERS_MAX: Final = 200
NAMED_FOR: Final = 48 * HOUR  # after it was taken back

RuleKind = Literal["address", "country", "hostname", "only_hostname", "path", "referrer"]
KINDS: Final[tuple[RuleKind, ...]] = get_args(RuleKind)

_COLUMNS: Final = "id, project_id, kind, value, note, author, created_at, removed_at"


class Rule(msgspec.Struct, frozen=True):
    """`value` is by kind: an address or network; an ISO 3166 code; a host without `www.`, or `*.` and one for all below
    it; a path with `*` for any part of one segment and `**` for anything; a referrer's domain, with all below it.

    Where there is a rule `only_hostname`, events of other hosts than those are filtered.
    """

    id: int
    project_id: int
    kind: RuleKind
    value: str
    note: str
    author: str
    created_at: int
    removed_at: int | None = None


async def create(db: Database, project: Project, kind: str, value: str, *, note: str = "", actor: str, at: int) -> Rule:
    """Make a rule. One that is in force already is given back.

    Raises Invalid with the field: `kind`, `value`, `note`.
    """
    if kind not in KINDS:
        raise Invalid("Choose what the rule looks at.", code="unknown", field="kind")
    cleaned = _VALUES[kind](value.strip())
    note = " ".join(note.split())
    if len(note) > NOTE_CHARACTERS_MAX:
        raise Invalid(f"Use at most {NOTE_CHARACTERS_MAX} characters.", code="too_long", field="note")
    known = [rule for rule in await of_project(db, project.id) if rule.removed_at is None]
    if len(known) >= RULES_MAX:
        raise Invalid(f"A site has at most {RULES_MAX} rules: take one back first.", code="too_many")
    for rule in known:
        if (rule.kind, rule.value) == (kind, cleaned):
            return rule
    insert: Statement = (
        f"""
        INSERT INTO exclusion (project_id, kind, value, note, author, created_at)
        VALUES (:project_id, :kind, :value, :note, :author, :at)
        ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
        """,
        {"project_id": project.id, "kind": kind, "value": cleaned, "note": note, "author": actor, "at": at},
    )
    log = audit.entry(at, actor, "exclusion.create", project.name, said(kind, cleaned))
    _, made, *_ = await db.write_all([BUMP, insert, log, _forgetting(at)])
    if not made:  # somebody else made it at the same moment
        return await create(db, project, kind, value, note=note, actor=actor, at=at)
    return _rule(made[0])


async def take_back(db: Database, project: Project, rule_id: int, *, actor: str, at: int) -> Rule:
    """End a rule; from now on it filters nothing. Raises NotFound where the project has no such rule in force."""
    end: Statement = (
        f"""
        UPDATE exclusion SET removed_at = :at
        WHERE id = :id AND project_id = :project_id AND removed_at IS NULL
        RETURNING {_COLUMNS}
        """,
        {"at": at, "id": rule_id, "project_id": project.id},
    )
    _, ended, *_ = await db.write_all([BUMP, end, _forgetting(at)])
    if not ended:
        raise NotFound("There is no such rule.")
    rule = _rule(ended[0])
    await audit.record(db, at, actor, "exclusion.remove", project.name, said(rule.kind, rule.value))
    return rule


async def of_project(db: Database, project_id: int) -> list[Rule]:
    """A project's rules, those in force before those taken back, newest first."""
    rows = await db.read(
        f"""
        SELECT {_COLUMNS} FROM exclusion WHERE project_id = :id
        ORDER BY CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, id DESC
        """,
        {"id": project_id},
    )
    return [_rule(row) for row in rows]


async def in_force(db: Database) -> Mapping[int, tuple[Rule, ...]]:
    """The rules of all projects, oldest first, by project."""
    found: dict[int, list[Rule]] = {}
    for row in await db.read(f"SELECT {_COLUMNS} FROM exclusion WHERE removed_at IS NULL ORDER BY id"):
        rule = _rule(row)
        found.setdefault(rule.project_id, []).append(rule)
    return {project_id: tuple(rules) for project_id, rules in found.items()}


def said(kind: str, value: str) -> str:
    """A rule as the audit log may hold it: of an address no more than a /24 or /48."""
    if kind == "address":
        network = ipaddress.ip_network(value)
        coarse = 24 if network.version == 4 else 48
        value = str(network if network.prefixlen <= coarse else network.supernet(new_prefix=coarse))
    return f"{kind} {value}"


def _forgetting(now: int) -> Statement:
    return "DELETE FROM exclusion WHERE removed_at < :before", {"before": now - NAMED_FOR}


def _rule(row: Row) -> Rule:
    return Rule(*row)


# What a rule's value may be. Each function gives its stored form.


def _address(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise _wrong(f"“{text}” is no address or network, like 203.0.113.7 or 2001:db8::/48.") from None
    if network.prefixlen == 0:
        raise _wrong("This would leave out everybody.")
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            network = ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return str(network.network_address if network.num_addresses == 1 else network)


def _country(text: str) -> str:
    code = text.upper()
    if not (len(code) == 2 and code.isascii() and code.isalpha()):
        raise _wrong(f"“{text}” is no country, like DE (ISO 3166).")
    return code


def _hostname(text: str) -> str:
    below = text.startswith("*.")
    return f"*.{_domain(text[2:])}" if below else _domain(text)


def _path(text: str) -> str:
    if not text.startswith(("/", "*")):
        raise _wrong("Give a path that begins with /, like /admin/**.")
    if len(text) > PATH_CHARACTERS_MAX:
        raise _wrong(f"Use at most {PATH_CHARACTERS_MAX} characters.")
    return text


def _domain(text: str) -> str:
    try:
        return project_fields.domain(text)
    except Invalid as error:
        raise _wrong(str(error)) from None


_VALUES: Final = {
    "address": _address,
    "country": _country,
    "hostname": _hostname,
    "only_hostname": _hostname,
    "path": _path,
    "referrer": _domain,
}


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="malformed", field="value")
