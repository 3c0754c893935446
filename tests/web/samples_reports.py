"""Views of the reports about people of the same site."""

from dataclasses import replace
from datetime import datetime, timedelta

from appliance.web import views_reports
from appliance.web.cards import ONE_VALUED
from appliance.web.funnel_steps import WINDOWS
from appliance.web.navigation import REPORTS
from appliance.web.views import Chip, Choice
from appliance.web.views_forms import Form
from appliance.web.views_reports import (
    EventsView,
    FunnelStep,
    JourneyColumn,
    JourneyPlace,
    JourneysView,
    LogRow,
    ReportFrame,
    SavedFunnel,
    StepFields,
    UserRow,
    UsersView,
    UserView,
    VisitHead,
)
from tests.web.samples import CHIPS, NOW, ZONE, period, shell, url

HAS_DONE = Chip(
    dimension="several",
    operator="has_done",
    values=("Event is Signup and (Page is /pricing or Page contains /docs)",),
    edit_href=None,
    remove_href=url(period="91d"),
)


def frame(key: str, sampled: str | None = None) -> ReportFrame:
    return ReportFrame(
        shell=shell(f"{key.title()} · example.com"),
        key=key,
        reports=(
            Choice(key="overview", href=url()),
            *(Choice(key=name, href=url(f"/{name}"), active=name == key) for name in REPORTS),
        ),
        period=period("91d"),
        chips=(*CHIPS[:2], HAS_DONE),
        filter_href=url("/filter", back=key),
        clear_href=url(f"/{key}"),
        csv_href=url(f"/{key}.csv"),
        sampled=sampled,
        kept_from=datetime(2025, 8, 1, tzinfo=ZONE) if key == "retention" else None,
        action=url(f"/{key}"),
        hidden=(("period", "91d"),),
    )


def retention() -> views_reports.RetentionView:
    sizes = (4_120, 3_870, 4_402, 5_110, 4_730, 3_990, 2_804)
    steps = (100.0, 31.2, 22.4, 18.9, 15.1, 13.0, 12.2)
    cohorts = []
    for week, size in enumerate(sizes):
        rates = tuple(round(rate * (1 + week % 3 * 0.06), 1) if after else rate for after, rate in enumerate(steps))
        rates = rates[: len(sizes) - week]
        ahead = (None,) * week
        cohorts.append(
            views_reports.Cohort(
                start=datetime(2025, 10, 6, tzinfo=ZONE) + timedelta(weeks=week),
                size=size,
                rates=(*rates, *ahead),
                counts=(*(round(size * rate / 100) for rate in rates), *ahead),
                incomplete=True,
            )
        )
    return views_reports.RetentionView(
        shell=frame("retention").shell,
        frame=frame("retention"),
        interval="week",
        intervals=tuple(
            Choice(key=key, href=url("/retention", by=key), active=key == "week") for key in ("day", "week", "month")
        ),
        cohorts=tuple(cohorts),
        average=(*steps[:-1], None),
        back="Signup",
        names=("pageview", "Signup"),
    )


def retention_none() -> views_reports.RetentionView:
    return replace(retention(), cohorts=(), average=())


def funnels() -> views_reports.FunnelView:
    steps = (
        ("page", "/", None, 22_140, 0, None),
        (
            "page",
            "/blog/2025/11/a-very-long-title-that-nobody-shortened",
            None,
            8_930,
            13_210,
            41.0,
        ),
        ("page", "/pricing", ("visit:country", "Germany"), 4_120, 4_810, 128.0),
        ("event", "Signup", None, 611, 3_509, 3_905.0),
    )
    return views_reports.FunnelView(
        shell=frame("funnels").shell,
        frame=frame("funnels"),
        fields=(
            *(
                StepFields(on=on, step=step, where=where[0] if where else "", value="DE" if where else "")
                for on, step, where, *_ in steps
            ),
            StepFields(),
        ),
        dimensions=ONE_VALUED,
        within="7d",
        withins=tuple(WINDOWS),
        steps=tuple(
            FunnelStep(
                label=label,
                on=on,
                condition=condition,
                visitors=visitors,
                rate=round(visitors / 221.4, 1),
                from_before=round(100 * visitors / (visitors + dropped), 1),
                dropped=dropped,
                median_seconds=median,
            )
            for on, label, condition, visitors, dropped, median in steps
        ),
        rate=2.8,
        offered=("/", "/pricing", "Signup"),
        saved=saved_funnels(),
        delete_action="/p/1/funnels/1/delete",
    )


def saved_funnels(active: int = 1) -> tuple[SavedFunnel, ...]:
    names = ("Checkout", "From the blog to a sign-up", "Onboarding: first week, nothing in between, all countries")
    return tuple(
        SavedFunnel(name=name, href=url("/funnels", saved=name), active=place == active)
        for place, name in enumerate(names)
    )


def funnels_none() -> views_reports.FunnelView:
    view = replace(funnels(), fields=(StepFields(), StepFields()), steps=(), rate=None, within="visit")
    return replace(view, saved=(), delete_action=None)


def funnels_unsaved() -> views_reports.FunnelView:
    """One that could be saved, but not under the name that was sent."""
    taken = {"name": "There is a funnel named “Checkout” already."}
    form = Form(action="/p/1/funnels/save", values={"name": "Checkout"}, errors=taken)
    return replace(funnels(), saved=saved_funnels(active=-1), save=form, delete_action=None)


HEADS = (
    VisitHead(source="Google", country="DE", country_name="Germany", browser="Firefox", os="Windows", device="Desktop"),
    VisitHead(source="Direct / None", browser="Mobile Safari", os="iOS", device="Mobile"),
)
PROPERTIES = (
    ("plan", "pro"),
    ("seats", "12"),
    ("coupon", "a-code-that-somebody-made-far-too-long-for-any-table-on-any-phone"),
)
TRAITS = (("name", "Ada Lovelace"), ("plan", "pro"), ("company", "Analytical Engines of London and Turin, Limited"))


def log_rows() -> tuple[LogRow, ...]:
    lines = (
        ("/pricing", "", "ada@example.com", 0),
        ("Signup", "/pricing", "ada@example.com", 0),
        ("/blog/2025/11/a-very-long-title-that-nobody-shortened-before-publishing-it-to-the-world", "", "", 1),
        ("/", "", "", 1),
        ("Outbound link: click", "/", "user-with-a-really-long-id-8f14e45fceea167a5a36dedd4bea2543", 1),
    )
    return tuple(
        LogRow(
            at=NOW - timedelta(minutes=7 * place, seconds=place),
            is_pageview=not path,
            label=label,
            path=path,
            user=user,
            user_href=url("/user", user=user) if user else None,
            visit=HEADS[head],
            is_open=place == 1,
            new_visit=place in (0, 2),
            facts=(("name", "pageview" if not path else label), ("hostname", "example.com")),
            properties=PROPERTIES if path else (),
        )
        for place, (label, path, user, head) in enumerate(lines)
    )


def events() -> EventsView:
    return EventsView(
        shell=frame("events").shell,
        frame=frame("events", "log"),
        rows=log_rows(),
        newest_href=url("/events"),
        older_href=url("/events", before="1.1"),
    )


def user_row(name: str = "ada@example.com", days: int = 3) -> UserRow:
    return UserRow(
        user=name,
        href=url("/user", user=name),
        first_seen=NOW - timedelta(days=40 * days),
        last_seen=NOW - timedelta(hours=5 * days),
        events=1_204 // days,
        visits=98 // days,
        traits=TRAITS[: days % 4],
    )


def users() -> UsersView:
    names = ("ada@example.com", "grace", "a-really-long-id-8f14e45fceea167a5a36dedd4bea2543-of-an-app", "مستخدم", "42")
    return UsersView(
        shell=frame("users").shell,
        frame=frame("users"),
        rows=tuple(user_row(name, place + 1) for place, name in enumerate(names)),
        older_href=url("/users", before="1:42"),
    )


def user() -> UserView:
    return UserView(
        shell=frame("user").shell,
        frame=replace(frame("users", "ever"), key="user"),
        name=user_row().user,
        user=user_row(),
        rows=log_rows(),
        users_href=url("/users"),
        older_href=url("/user", before="1.1"),
    )


def user_none() -> UserView:
    """The filters leave nothing of what the user did."""
    return replace(user(), user=None, rows=(), older_href=None)


def journeys() -> JourneysView:
    places = (
        ("/pricing", 1_204), ("/docs/install", 811), ("Signup", 402),
        ("/blog/2025/11/a-very-long-title-that-nobody-shortened", 96), ("/login", 12),
    )  # fmt: skip
    return JourneysView(
        shell=frame("journeys").shell,
        frame=frame("journeys", "period"),
        step="/blog/2025/11/why-we-left-the-cloud-and-what-it-costs",
        with_events=True,
        visits=4_120,
        columns=tuple(
            JourneyColumn(
                distance=distance,
                places=tuple(
                    JourneyPlace(
                        label=label,
                        is_event=label == "Signup",
                        visits=visits,
                        rate=round(visits / 41.2, 1),
                        href=url("/journeys", step=label),
                    )
                    for label, visits in places[abs(distance) - 1 :]
                ),
                others=205,
                others_rate=5.0,
                missing=1_390,
                missing_rate=33.7,
            )
            for distance in (-2, -1, 1, 2)
        ),
    )


def journeys_none() -> JourneysView:
    return replace(journeys(), visits=0, columns=())
