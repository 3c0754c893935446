"""The appliance itself: how it is, and who changed what."""

import platform
import shutil
from pathlib import Path
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import __version__
from appliance.ingest.refusals import UNKNOWN_PROJECT
from appliance.storage import audit
from appliance.telemetry import Health
from appliance.web import formats, request_rows, shell, urls
from appliance.web.access import public_origin, require_role, state_of
from appliance.web.audit_words import sentence
from appliance.web.forms import get, page
from appliance.web.navigation import admin_nav
from appliance.web.parts import Parts, parts_of
from appliance.web.rendering import wants_fragment
from appliance.web.strings import text
from appliance.web.views import Pager
from appliance.web.views_admin import AuditRow, AuditView, Gauge, HealthView

AUDIT_ROWS = 50
UNNAMED_ROWS = 10
JOURNAL_WARNING = 0.5  # of its limit
DISK_WARNING, DISK_ERROR = 0.85, 0.95  # used


def routes() -> list[Route]:
    return [get(urls.ADMIN_SYSTEM, show_health), get(urls.ADMIN_AUDIT, show_audit)]


# ---------------------------------------------------------------- health


async def show_health(request: Request) -> Response:
    """The whole page, or its figures alone, for which the page asks every few seconds."""
    login = await require_role(request, "admin")
    parts = parts_of(request)
    health = parts.health()
    view = HealthView(
        shell=await shell.shell(request, text("nav.health")),
        nav=admin_nav("health"),
        ready=health.ready,
        faults=tuple(_as_sentence(": ".join(filter(None, problem))) for problem in health.problems),
        gauges=_gauges(parts, health),
        throughput=tuple(parts.stored_per_minute()),
        dropped=tuple(sorted(health.refused.items(), key=lambda pair: (-pair[1], pair[0]))),
        facts=_facts(request, parts, health),
        unnamed=request_rows.newest(parts, UNKNOWN_PROJECT, "UTC")[:UNNAMED_ROWS]
        if login.viewer.may("owner")
        else None,
        unnamed_href=urls.ADMIN_REQUESTS,
        refresh_href=urls.ADMIN_SYSTEM,
    )
    template = "admin/_health.html" if wants_fragment(request.headers) else "admin/health.html"
    return await page(request, template, view, headers={"cache-control": "no-store", "vary": "HX-Request"})


def _gauges(parts: Parts, health: Health) -> tuple[Gauge, ...]:
    disk = shutil.disk_usage(parts.settings.data_dir)
    used = disk.total - health.disk_free_bytes
    lag, lag_max = health.lag_seconds, parts.settings.lag_seconds_max
    journal, journal_max = health.journal_bytes, health.journal_bytes_max
    gauges = [
        Gauge(key="accepted", value=health.accepted),
        Gauge(
            key="drain_lag",
            value=round(lag, 1),
            kind="seconds",
            level="error" if lag > lag_max else "warn" if lag > lag_max / 2 else "ok",
        ),
        Gauge(key="backlog", value=health.journal_backlog_bytes, kind="bytes"),
        Gauge(
            key="journal",
            value=journal,
            kind="bytes",
            limit=journal_max,
            level=_level(journal / journal_max, JOURNAL_WARNING, 0.9),
        ),
        Gauge(key="database", value=health.database_bytes, kind="bytes"),
        Gauge(
            key="disk",
            value=used,
            kind="bytes",
            limit=disk.total,
            level=_level(used / disk.total, DISK_WARNING, DISK_ERROR),
        ),
        Gauge(
            key="dead_letters",
            value=health.dead_letters,
            level="warn" if health.dead_letters else "ok",
        ),
    ]
    if (memory := _memory_bytes()) is not None:
        gauges.append(Gauge(key="memory", value=memory, kind="bytes"))
    return tuple(gauges)


def _facts(request: Request, parts: Parts, health: Health) -> tuple[tuple[str, str], ...]:
    settings = parts.settings
    return (
        ("version", __version__),
        ("uptime", formats.duration(health.uptime_seconds)),
        ("engine", health.database_software),
        *(("remark", remark) for remark in health.database_remarks),
        *(("aggregate", f"{name}: {what}") for name, what in health.database_aggregates.items()),
        ("data_dir", str(Path(settings.data_dir).resolve())),
        ("durability", settings.durability),
        ("public_url", public_origin(request)),
        ("python", platform.python_version()),
    )


def _level(share: float, warn: float, error: float) -> Literal["ok", "warn", "error"]:
    return "error" if share > error else "warn" if share > warn else "ok"


def _memory_bytes() -> int | None:
    """Resident memory of this process, where the system says so (proc(5): VmRSS in kB)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), None)
    return int(line.split()[1]) * 1024 if line else None


def _as_sentence(problem: str) -> str:
    return problem[:1].upper() + problem[1:] + "."


# ---------------------------------------------------------------- audit log


async def show_audit(request: Request) -> Response:
    await require_role(request, "admin")
    db = state_of(request).db
    asked = request.query_params.get("page", "")
    number = max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1
    offset = (number - 1) * AUDIT_ROWS
    found, total = await audit.recent(db, offset=offset, limit=AUDIT_ROWS), await audit.count(db)
    view = AuditView(
        shell=await shell.shell(request, text("nav.audit")),
        nav=admin_nav("audit"),
        rows=tuple(_audit_row(entry) for entry in found),
        pager=_pager(number, offset, len(found), total) if total > AUDIT_ROWS else None,
    )
    return await page(request, "admin/audit.html", view)


def _pager(number: int, offset: int, rows: int, total: int) -> Pager:
    return Pager(
        first=offset + 1,
        last=offset + rows,
        total=total,
        previous_href=f"{urls.ADMIN_AUDIT}?page={number - 1}" if number > 1 else None,
        next_href=f"{urls.ADMIN_AUDIT}?page={number + 1}" if offset + rows < total else None,
    )


def _audit_row(entry: audit.Entry) -> AuditRow:
    action, subject, network = sentence(entry)
    return AuditRow(at=shell.moment(entry.at), who=entry.actor, action=action, subject=subject, network=network)
