"""Views of filters, refused events, requests and addresses."""

from dataclasses import replace
from datetime import timedelta

from appliance.storage.exclusions import KINDS
from appliance.web import views, views_admin, views_requests, views_sending
from appliance.web.views import Choice, Icon
from appliance.web.views_forms import Form
from appliance.web.views_requests import AddressNote, RequestRow
from appliance.web.views_sending import FilteredReason, RefusedRow, RuleRow
from tests.web import samples_admin
from tests.web.samples import NOW, shell

REASONS = (
    FilteredReason(reason="bot", count=12_031, href="/p/1/settings/refused?reason=bot"),
    FilteredReason(reason="privacy_signal", count=2_110, href="?reason=privacy_signal"),
    FilteredReason(reason="blocked_path", count=388, href="?reason=blocked_path"),
    FilteredReason(reason="origin_not_allowed", count=41, href="?reason=origin_not_allowed"),
    FilteredReason(reason="too_deep", count=3, href="?reason=too_deep"),
)


def _request(seconds: int, **changes: object) -> RequestRow:
    usual = RequestRow(
        at=NOW - timedelta(seconds=seconds),
        status=202,
        method="POST",
        path="/api/v1/events/ingest",
        dialect="native",
        key="sa_4f7c",
        nbytes=412,
        accepted=1,
        duplicates=0,
        dropped=0,
        rejected=0,
        code="",
        message="",
        milliseconds=1.4,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


REQUESTS = (
    _request(3),
    _request(9, accepted=46, duplicates=2, rejected=1, code="not_a_time", message="timestamp: 'soon' is not a time",
             nbytes=38_211, milliseconds=4.9),
    _request(14, accepted=0, dropped=1, code="bot", path="/pixel.gif", method="GET", dialect="pixel", nbytes=0,
             status=200, milliseconds=0.2),
    _request(40, accepted=0, status=403, code="origin_not_allowed", milliseconds=0.1,
             message="the origin 'https://copycat.example' is not in the project's list"),
    _request(95, accepted=0, rejected=1, status=422, code="missing", message="event: an event needs a name",
             milliseconds=0.2),
    _request(130, accepted=0, status=401, key="sa_old9", code="unknown_key", milliseconds=3.1,
             message="the key is not known or was revoked"),
    _request(400, accepted=0, status=400, key="", code="malformed_json", milliseconds=0.1,
             message="the body is not JSON: JSON is malformed: expected '\"' (byte 1)"),
)  # fmt: skip


def requests(empty: bool = False) -> views_requests.RequestsView:
    return views_requests.RequestsView(
        shell=shell("Requests · example.com", stream_href="/p/1/live/requests/stream"),
        rows=() if empty else REQUESTS[:5],
        rows_max=100,
        sides=sides("requests"),
        back_href="/p/1",
    )


def unnamed() -> views_requests.RequestsView:
    return views_requests.RequestsView(
        shell=shell("Requests", site=None, live=None), rows=REQUESTS[-2:], rows_max=100, back_href="/admin/health"
    )


def sides(active: str) -> tuple[Choice, ...]:
    places = (("visitors", "/p/1/live"), ("requests", "/p/1/live/requests"))
    return tuple(Choice(key=key, href=href, active=key == active) for key, href in places)


def filters(empty: bool = False, error: bool = False) -> views_sending.FiltersView:
    def rule(kind: str, value: str, days: int, **more: object) -> RuleRow:
        usual = RuleRow(
            kind=kind,
            value=value,
            note="",
            author="ada@example.com",
            created_at=NOW - timedelta(days=days),
            filtered=0,
            kept=0,
            href="/p/1/settings/refused?rule=7",
            take_back_action="/p/1/settings/filters/7/take-back",
        )
        return replace(usual, **more)  # type: ignore[arg-type]

    return views_sending.FiltersView(
        shell=shell("Filters · example.com"),
        nav=samples_admin.nav("filters"),
        reasons=() if empty else REASONS,
        refused_href="/p/1/settings/refused",
        switches=Form(action="/p/1/settings/filters/switches", values={"drop_bots": "on", "drop_referrer_spam": "on"}),
        data_centres=None
        if empty
        else views_sending.DataCentreList(
            networks=41_203,
            read_at=NOW - timedelta(hours=3),
            error="/etc/data-centres.txt, line 17: '203.0.113.0/33' is no network" if error else "",
        ),
        rules=()
        if empty
        else (
            rule("address", "198.51.100.0/24", 3, note="The office in Lyon", filtered=1_204, kept=800),
            rule("path", "/admin/**", 41, filtered=388, kept=388, author="grace.hopper@example.com"),
            rule("country", "KP", 90, label="North Korea", icon=Icon(kind="flag", code="KP")),
            rule("only_hostname", "*.example.com", 200),
        ),
        taken_back=()
        if empty
        else (
            rule(
                "hostname",
                "staging.example.com",
                9,
                removed_at=NOW - timedelta(hours=2),
                take_back_action=None,
                filtered=57,
                kept=57,
            ),
        ),
        form=Form(
            action="/p/1/settings/filters",
            values={"kind": "address", "value": "203.0.113.300" if error else "", "note": ""},
            errors={"value": "“203.0.113.300” is no address or network, like 203.0.113.7 or 2001:db8::/48."}
            if error
            else {},
        ),
        kinds=KINDS,
        countries=(("DE", "Germany"), ("FR", "France")),
        own_address="203.0.113.7",
        own_action=None if error else "/p/1/settings/filters/own-address",
        own_is_out=False,
        address_note=AddressNote(advice="one_address", peer="172.17.0.1", requests=200, href="/admin/address")
        if error
        else None,
    )


def refused(empty: bool = False, rule: bool = False) -> views_sending.RefusedView:
    rows = (
        RefusedRow(
            at=NOW - timedelta(seconds=14),
            verdict="dropped",
            reason="bot",
            name="pageview",
            page="example.com/wp-login.php",
            dialect="native",
            state="kept",
        ),
        RefusedRow(
            at=NOW - timedelta(seconds=40),
            verdict="dropped",
            reason="blocked_path",
            rule="/admin/**",
            name="pageview",
            page="example.com/admin/orders/2025/11/a-very-long-path-that-nobody-shortened-before-it-was-opened",
            dialect="native",
            state="let_in",
        ),
        RefusedRow(
            at=NOW - timedelta(minutes=2),
            verdict="rejected",
            reason="origin_not_allowed",
            message="Origin https://copycat.example is not allowed.",
            name="pageview",
            page="copycat.example/",
            dialect="plausible",
        ),
        RefusedRow(
            at=NOW - timedelta(minutes=9),
            verdict="rejected",
            reason="too_deep",
            message="properties: nested more than 8 levels deep",
            name="Checkout",
            dialect="segment",
        ),
        RefusedRow(
            at=NOW - timedelta(hours=4),
            verdict="dropped",
            reason="blocked_address",
            name="pageview",
            page="example.com/pricing",
            dialect="native",
            state="gone",
        ),
    )
    return views_sending.RefusedView(
        shell=shell("Refused events · example.com"),
        nav=samples_admin.nav("refused"),
        rows=() if empty else rows[1:2] if rule else rows,
        reasons=() if empty else REASONS,
        all_href="/p/1/settings/refused",
        rule="/admin/**" if rule else "",
        search="orders" if rule else "",
        search_action="/p/1/settings/refused",
        let_in=None
        if empty
        else views_sending.LetInForm(action="/p/1/settings/refused/let-in", kept=388, gone=21, hidden=()),
        filters_href="/p/1/settings/filters",
        pager=None if empty or rule else views.Pager(first=1, last=5, total=14_573, next_href="?page=2"),
    )


def health() -> views_admin.HealthView:
    return replace(samples_admin.health(), unnamed=REQUESTS[-2:], unnamed_href="/admin/requests")


def address(hides: bool = True) -> views_sending.AddressView:
    return views_sending.AddressView(
        shell=shell("Addresses", site=None, live=None),
        nav=samples_admin.nav("address", admin=True),
        address="172.18.0.2" if hides else "203.0.113.7",
        country="" if hides else "DE",
        country_name="" if hides else "Germany",
        peer="172.18.0.2",
        headers=(("x-forwarded-for", "203.0.113.7"), ("x-real-ip", "203.0.113.7")),
        believed=not hides,
        advice="not_believed" if hides else "believed",
        hides=hides,
        setting="APPLIANCE_TRUSTED_PROXIES=172.18.0.2" if hides else "",
        trusted=() if hides else ("172.18.0.0/16",),
        requests=200,
        addresses=1 if hides else 137,
    )
