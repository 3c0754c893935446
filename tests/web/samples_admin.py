"""Views of signing in, set-up, settings and administration."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sin

from appliance.web import views, views_admin
from appliance.web.views import Choice, Icon
from appliance.web.views_forms import Form
from appliance.web.views_requests import AddressNote
from tests.web.samples import NOW, install, shell

BARE = {"account": None, "site": None, "sites": (), "live": None, "sites_href": None}
ZONES = (
    ("Europe/Berlin", "Europe/Berlin"),
    ("Europe/London", "Europe/London"),
    ("UTC", "UTC"),
    ("America/New_York", "America/New York"),
)
MONEY = (("EUR", "Euro (EUR)"), ("USD", "US dollar (USD)"))


def nav(active: str, admin: bool = False) -> views_admin.Nav:
    groups = (
        (("projects", "users", "health", "address", "dead_letters", "audit", "backups"),)
        if admin
        else (
            ("general", "sources", "sampling", "limits", "goals", "funnels", "members"),
            ("keys", "export", "imports", "filters", "refused"),
        )
    )
    return views_admin.Nav(
        heading="Administration" if admin else "example.com",
        groups=tuple(
            tuple(Choice(key=key, href=f"/p/1/settings/{key}", active=key == active) for key in group)
            for group in groups
        ),
    )


def login(**changes: object) -> views_admin.LoginView:
    whole = views_admin.LoginView(
        shell=shell("Sign in", **BARE),
        form=Form(action="/login"),
        oidc_href="/oidc",
        oidc_name="Keycloak",
        register_href="/register",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def register() -> views_admin.RegisterView:
    form = Form(
        action="/register",
        values={"name": "Ada Lovelace", "email": "ada@example.com"},
        errors={"email": "There is an account for ada@example.com already."},
    )
    return views_admin.RegisterView(shell=shell("Create your account", **BARE), form=form, login_href="/login")


def setup(step: str) -> views_admin.SetupView:
    form = Form(
        action="/setup",
        values={"name": "Ada Lovelace", "email": "ada@example.com", "timezone": "Europe/Berlin", "currency": "EUR"},
        errors={"password": "Use at least 10 characters."} if step == "account" else {},
    )
    return views_admin.SetupView(
        shell=shell("Set up", stream_href="/p/1/stream" if step == "install" else None, **BARE),
        step=step,  # type: ignore[arg-type]
        form=form,
        token_needed=True,
        timezones=ZONES,
        currencies=MONEY,
        install=install(),
        address=AddressNote(advice="not_believed", peer="172.18.0.2", requests=0) if step == "site" else None,
    )


def projects() -> views_admin.ProjectsView:
    return views_admin.ProjectsView(
        shell=shell("Sites", site=None, live=None),
        nav=nav("projects", admin=True),
        rows=tuple(
            views_admin.ProjectRow(
                name=name,
                domains=domains,
                href=f"/p/{place}",
                settings_href=f"/p/{place}/settings",
                events=events,
                created_at=NOW - timedelta(days=200 * place),
            )
            for place, (name, domains, events) in enumerate(
                (
                    ("Main site", ("example.com", "www.example.org"), 219_408),
                    ("Shop", ("shop.example.net",), 1_902_113),
                    ("iOS app", (), None),
                ),
                1,
            )
        ),
        create_href="/sites/new",
    )


def project(new: bool = False) -> views_admin.ProjectView:
    values: dict[str, str] = {"timezone": "Europe/Berlin", "currency": "EUR"}
    if not new:
        values |= {
            "name": "Main site",
            "domains": "example.com\nwww.example.org",
            "origins": "*",
            "visit_rule": "timeout",
            "visit_timeout_minutes": "30",
            "visit_window_minutes": "60",
            "privacy_signal": "rotate",
            "trust_stated_address": "on",
            "raw_retention_days": "365",
        }
    return views_admin.ProjectView(
        shell=shell("Add a site" if new else "Settings · example.com"),
        nav=None if new else nav("general"),
        form=Form(
            action="/sites/new", values=values, errors={"domains": "That is not a domain: exa mple.com"} if new else {}
        ),
        new=new,
        timezones=ZONES,
        currencies=MONEY,
        install=None if new else install(received_at=NOW - timedelta(days=90)),
        delete=None if new else views_admin.Confirm(action="/p/1/settings/delete", phrase="example.com"),
    )


def keys() -> views_admin.KeysView:
    made = NOW - timedelta(days=41)
    row = views_admin.KeyRow
    return views_admin.KeysView(
        shell=shell("API keys · example.com", toast=views.Toast(text="Key created.")),
        nav=nav("keys"),
        rows=(
            row(
                name="Snippet",
                kind="public",
                shown="sa_4f7c2e90b1d34a5f",
                scopes=("send",),
                created_at=made,
                last_used_at=NOW - timedelta(seconds=3),
                revoke_action="/revoke",
            ),
            row(
                name="Reporting script",
                kind="private",
                shown="sa_priv_9c1e",
                scopes=("read",),
                created_at=made,
                last_used_at=NOW - timedelta(hours=5),
                revoke_action="/revoke",
            ),
            row(
                name="Snippet",
                kind="public",
                shown="sa_0b8d51c27e6f4a19",
                scopes=("send",),
                created_at=made,
                last_used_at=NOW - timedelta(minutes=2),
                expires_at=NOW + timedelta(days=3),
                revoke_action="/revoke",
            ),
            row(
                name="Old laptop",
                kind="private",
                shown="sa_priv_77ab",
                scopes=("send", "read", "manage"),
                created_at=made,
                revoked_at=NOW,
            ),
        ),
        form=Form(action="/p/1/settings/keys", values={"kind": "private", "scopes": ["read"]}),
        replace=Form(action="/p/1/settings/keys/rotate", values={"grace": "86400"}),
        replaceable=(("1", "Snippet (Public)"), ("2", "Reporting script (Private)")),
        graces=(("0", "No longer"), ("86400", "A day more")),
        created="sa_priv_kq3V0m1Zb7Xw2nR8tY5uJ4hG6fD9sA0pL1oK2iM3",
    )


def dead_letters(empty: bool = False) -> views_admin.DeadLettersView:
    row = views_admin.DeadLetterRow
    error = "CheckViolation: new row for relation “event” violates check constraint"
    rows = (
        row(id=3, at=NOW - timedelta(minutes=4), site="Example", name="Purchase", page="example.com/shop", error=error),
        row(id=2, at=NOW - timedelta(hours=2), site="Example", name="pageview", page="example.com/blog/a-long-title",
            error="DataError: integer out of range", waiting=True),
        row(id=1, at=NOW - timedelta(days=3), site="Docs", name="", page="", error="the record cannot be read"),
    )  # fmt: skip
    return views_admin.DeadLettersView(
        shell=shell("Dead letters"),
        nav=nav("dead_letters", admin=True),
        rows=() if empty else rows,
        retry_action="/admin/dead-letters/retry",
        delete_action="/admin/dead-letters/delete",
    )


def goals(empty: bool = False) -> views_admin.GoalsView:
    wanted = (
        ("Order", "event", "Order", "", "", "EUR"),
        ("Sign-up for the pro plan", "event", "Signup", "plan", "pro", ""),
        ("Visit /blog/**", "page", "/blog/**", "", "", ""),
        ("Visit /docs/a-very-long-path/that/nobody-shortened/*", "page", "/docs/a-very-long-path/*", "", "", ""),
    )
    wrong = {"pattern": "Give the event's name, or a path that begins with /.", "value": "They go together."}
    return views_admin.GoalsView(
        shell=shell("Goals · example.com"),
        nav=nav("goals"),
        rows=()
        if empty
        else tuple(
            views_admin.GoalRow(
                name=name,
                kind=kind,  # type: ignore[arg-type]
                pattern=pattern,
                property=prop,
                value=value,
                currency=currency,
                href="/p/1?f=is:event:goal:Order",
                delete_action="/p/1/settings/goals/1/delete",
            )
            for name, kind, pattern, prop, value, currency in wanted
        ),
        form=Form(
            action="/p/1/settings/goals",
            values={"kind": "event" if empty else "page", "pattern": "" if empty else "blog"},
            errors={} if empty else wrong,
        ),
        currencies=(("", "Any currency, or none"), *MONEY),
        offered=("Signup", "/pricing"),
    )


def segments(*, empty: bool = False) -> views_admin.SegmentsView:
    wanted = (
        ("Readers from Germany", "Country is Germany and Page contains blog", False, ""),
        ("A-name-without-a-blank-that-is-as-long-as-a-name-can-be" * 2, "Device is Mobile", False, "Taken already."),
        ("Signed up", "the segment 'Signed up' cannot be asked any more: there is no goal 'Signup'", True, ""),
    )
    return views_admin.SegmentsView(
        shell=shell("Segments · example.com"),
        nav=nav("segments"),
        rows=()
        if empty
        else tuple(
            views_admin.SegmentRow(
                id=number,
                name=name[:100],
                filters=filters,
                broken=broken,
                href=f"/p/1?f=is:segment:{number}",
                rename=Form(action="/rename", values={"name": name}, errors={"name": error} if error else {}),
                delete_action="/p/1/settings/segments/1/delete",
            )
            for number, (name, filters, broken, error) in enumerate(wanted, 1)
        ),
        dashboard_href="/p/1",
    )


def users() -> views_admin.UsersView:
    row = views_admin.UserRow
    return views_admin.UsersView(
        shell=shell("Accounts", site=None, live=None),
        nav=nav("users", admin=True),
        rows=(
            row(
                name="Ada Lovelace",
                email="ada@example.com",
                role="owner",
                created_at=NOW,
                seen_at=NOW - timedelta(seconds=20),
                second_factor=True,
                you=True,
            ),
            row(
                name="Grace Hopper",
                email="grace@example.com",
                role="admin",
                created_at=NOW,
                seen_at=NOW - timedelta(hours=3),
                role_action="/role",
                remove_action="/remove",
            ),
            row(
                name="Katherine Johnson",
                email="katherine@example.com",
                role="viewer",
                created_at=NOW,
                role_action="/role",
                remove_action="/remove",
                sites=3,
                access_href="/access",
            ),
        ),
        form=Form(action="/admin/accounts", values={"role": "viewer"}),
    )


def access(role: str = "viewer", empty: bool = False) -> views_admin.AccessView:
    row = views_admin.AccessRow
    return views_admin.AccessView(
        shell=shell("Sites of Katherine Johnson", site=None, live=None),
        nav=nav("users", admin=True),
        back_href="/admin/accounts",
        name="Katherine Johnson",
        email="katherine@example.com",
        role=role,
        rows=()
        if empty
        else (
            row(site="1", label="blog.example.com", href="/sites/blog.example.com", role="admin"),
            row(site="2", label="example.com", href="/sites/example.com", role="owner", may_change=False),
            row(site="3", label="shop.example.com", href="/sites/shop.example.com", role="viewer"),
        ),
        form=Form(action="/access", values={"role": "viewer"}),
        sites=(("4", "docs.example.com"), ("5", "status.example.com")),
        roles=("admin", "viewer"),
        take_action="/take",
        all_action=None if empty else "/all",
    )


def account() -> views_admin.AccountView:
    row = views_admin.SessionRow
    return views_admin.AccountView(
        shell=shell("Your account", site=None, live=None),
        form=Form(action="/account", errors={"current_password": "That is not your password."}),
        sessions=(
            row(agent="Firefox on Linux", icon=Icon(kind="brand", code="Firefox"), seen_at=NOW, current=True),
            row(
                agent="Safari on iOS",
                icon=Icon(kind="brand", code="Safari"),
                seen_at=NOW - timedelta(days=2),
                end_action="/end",
            ),
        ),
        sign_out_everywhere_action="/everywhere",
    )


def export() -> views_admin.ExportView:
    values = {"dataset": "events", "format": "csv", "from": "2025-10-22", "to": "2025-11-20"}
    return views_admin.ExportView(
        shell=shell("Export · example.com"),
        nav=nav("export"),
        form=Form(action="/p/1/export.csv", values=values),
    )


def imports(empty: bool = False) -> views_admin.ImportsView:
    row = views_admin.ImportRow
    rows = (
        row(
            name="access.log-20251119.gz",
            file_format="combined",
            state="running",
            at=NOW - timedelta(seconds=2),
            stored=48_213,
            refused=1,
            dropped=(("asset", 310_422), ("bot", 20_113), ("status", 812)),
            faults=((1_204, "no line of an access log"),),
            percent=37,
            days=("2025-11-01", "2025-11-09"),
            stop_action="/stop",
        ),
        row(
            name="next.csv", file_format="goatcounter", state="waiting", at=NOW, stored=0, percent=0, stop_action="/s"
        ),
        row(
            name="events.ndjson",
            file_format="ndjson",
            state="done",
            at=NOW - timedelta(days=2),
            stored=1_902_113,
            duplicates=12,
            days=("2023-01-01", "2025-11-17"),
        ),
        row(
            name="half-of-a-very-long-name-that-somebody-has-given-to-a-file-and-never-thought-about-again.log.gz",
            file_format="alb",
            state="failed",
            at=NOW - timedelta(days=3),
            stored=12,
            error="the file is cut off or damaged: Compressed file ended before the end-of-stream marker was reached",
        ),
        row(name="old.log", file_format="common", state="running", at=NOW - timedelta(hours=5), stored=7, percent=50,
            stalled=True, stop_action="/stop"),
        row(name="wrong.csv", file_format="csv", state="stopped", at=NOW - timedelta(days=9), stored=0, refused=2,
            faults=((2, "timestamp: it is neither ISO 8601 nor an epoch in seconds or milliseconds"), (3, "x" * 200)),
            forget_action="/forget"),
    )  # fmt: skip
    wrong = {} if empty else {"file": "The file is in no format that is understood."}
    return views_admin.ImportsView(
        shell=shell("Imports · example.com"),
        nav=nav("imports"),
        rows=() if empty else rows,
        form=Form(action="/p/1/settings/imports", values={"format": "", "source": ""}, errors=wrong),
        file_formats=(("", "Tell by the file"), ("ndjson", "NDJSON, also our own export")),
    )


def health() -> views_admin.HealthView:
    gauge = views_admin.Gauge
    return views_admin.HealthView(
        shell=shell("System health", site=None, live=None),
        nav=nav("health", admin=True),
        ready=True,
        gauges=(
            gauge(key="accepted_per_second", value=182, kind="rate"),
            gauge(key="drain_lag", value=0.08, kind="seconds"),
            gauge(key="backlog", value=24_000, kind="bytes"),
            gauge(key="dead_letters", value=0),
            gauge(key="journal", value=312_000_000, kind="bytes", limit=4_000_000_000),
            gauge(key="disk", value=91_200_000_000, kind="bytes", limit=107_000_000_000, level="warn"),
            gauge(key="database", value=4_180_000_000, kind="bytes"),
            gauge(key="last_backup", value=None, kind="text", text="6 h ago"),
        ),
        throughput=tuple(int(9_000 + 3_000 * sin(minute / 9) + minute * 37 % 800) for minute in range(60)),
        dropped=(("bot", 12_031), ("privacy_signal", 2_110), ("rate_limited", 84), ("origin_not_allowed", 41)),
        facts=(
            ("version", "0.1.0"),
            ("uptime", "12 d 4 h"),
            ("engine", "SQLite 3.46"),
            ("data_dir", "/data"),
            ("durability", "fsync"),
            ("public_url", "https://stats.example.com"),
        ),
        refresh_href="/admin/health/now",
    )


def audit() -> views_admin.AuditView:
    row = views_admin.AuditRow
    return views_admin.AuditView(
        shell=shell("Audit log", site=None, live=None),
        nav=nav("audit", admin=True),
        rows=(
            row(
                at=NOW,
                who="Ada Lovelace",
                action="Created the key",
                subject="Reporting script",
                network="203.0.113.0/24",
            ),
            row(
                at=NOW - timedelta(hours=2),
                who="Grace Hopper",
                action="Changed the time zone of",
                subject="example.com",
                network="2001:db8::/48",
            ),
            row(
                at=datetime(2025, 11, 2, 9, 5, tzinfo=UTC),
                who="Ada Lovelace",
                action="Signed in",
                network="203.0.113.0/24",
            ),
        ),
        pager=views.Pager(first=1, last=3),
    )
