"""More views of the same site: details, filter, live, the list of sites, errors."""

from dataclasses import replace
from datetime import timedelta
from math import pi, sin

from appliance.web import views
from appliance.web.views import Choice, FeedRow, Icon, Panel, Row
from appliance.web.views_lists import Column, DetailsView, FilterView, Suggestion
from tests.web.samples import CHIPS, COUNTRIES, NOW, SOURCES, country_rows, goal_rows, period, rows, shell, tabs, url
from tests.web.samples_sending import sides


def details() -> DetailsView:
    metrics = ("visitors", "visits", "pageviews", "bounce_rate", "visit_duration")
    labels = [name for name, _ in SOURCES] + [
        "Bing",
        "Lobsters",
        "newsletter",
        "Bluesky",
        "Ecosia",
        "Perplexity",
        "X",
        "YouTube",
        "Kagi",
        "Claude",
    ]
    lines = tuple(
        Row(
            label=label,
            values=(
                22_140 // (place + 1),
                31_004 // (place + 1),
                70_003 // (place + 1),
                38.2 + place,
                131 + 7 * place,
            ),
            href=url(f=f"is:visit:source:{label}"),
            external_href=f"https://{label.lower().replace(' ', '')}.example" if place else None,
            icon=Icon(kind="brand", code=label),
        )
        for place, label in enumerate(labels)
    )
    return DetailsView(
        shell=shell("Sources · example.com"),
        dimension="visit:source",
        period=period(),
        chips=CHIPS[:1],
        variants=tabs("sources", "visit:source", "visit:referrer", "visit:channel"),
        columns=tuple(
            Column(
                metric=metric,
                sort_href=url("/details/visit:source", sort=metric),
                sorted="descending" if metric == "visitors" else None,
            )
            for metric in metrics
        ),
        rows=lines,
        search_action=url("/details/visit:source"),
        hidden=(("period", "30d"),),
        pager=views.Pager(first=1, last=len(lines), total=1_204, next_href=url("/details/visit:source", after="x")),
        csv_href=url("/export.csv", dimension="visit:source"),
        close_href=url(period="30d"),
    )


def details_goals() -> DetailsView:
    metrics = ("visitors", "events", "conversion_rate", "total_revenue")
    return replace(
        details(),
        dimension="event:goal",
        variants=tabs("events", "event:goal", "event:name"),
        columns=tuple(Column(metric=metric, sort_href=url("/details/event:goal", sort=metric)) for metric in metrics),
        rows=goal_rows(),
        pager=views.Pager(first=1, last=5, total=5),
        sampled=True,
    )


def filter_view() -> FilterView:
    names = (
        "visit:source",
        "visit:channel",
        "event:page",
        "visit:entry_page",
        "visit:country",
        "visit:browser",
        "visit:os",
        "event:goal",
        "event:props:plan",
    )
    return FilterView(
        shell=shell("Filter · example.com"),
        dimensions=tuple(
            Choice(key=name, href=url("/filter", dimension=name), active=name == "visit:country") for name in names
        ),
        dimension="visit:country",
        operators=("is", "is_not"),
        operator="is",
        suggestions=tuple(
            Suggestion(value=code, label=name, count=count, checked=code == "DE", icon=Icon(kind="flag", code=code))
            for code, name, count in COUNTRIES[:12]
        ),
        apply_action=url("/filter/apply"),
        values_href=url("/filter/values"),
        hidden=(("period", "30d"),),
        close_href=url(period="30d"),
    )


def filter_goals() -> FilterView:
    """Over a report, with the goals of the site."""
    view = filter_view()
    return replace(
        view,
        dimensions=tuple(replace(choice, active=choice.key == "event:goal") for choice in view.dimensions),
        dimension="event:goal",
        operators=("is", "contains"),
        suggestions=tuple(
            Suggestion(value=row.label, label=row.label, count=row.values[0])  # type: ignore[arg-type]
            for row in goal_rows()
        ),
        report="retention",
    )


FEED = (
    FeedRow(
        at=NOW - timedelta(seconds=2),
        kind="pageview",
        label="/blog/why-we-left-the-cloud",
        country="DE",
        country_name="Germany",
        source="Hacker News",
        browser="Firefox",
        os="Linux",
        device="Desktop",
    ),
    FeedRow(
        at=NOW - timedelta(seconds=9),
        kind="custom",
        label="Signup",
        path="/register",
        country="US",
        country_name="United States",
        source="Google",
        browser="Chrome",
        os="Windows",
        device="Desktop",
    ),
    FeedRow(
        at=NOW - timedelta(seconds=14),
        kind="pageview",
        label="/wp-login.php",
        accepted=False,
        reason="bot",
        country="NL",
        country_name="Netherlands",
        browser="curl",
    ),
    FeedRow(
        at=NOW - timedelta(seconds=31),
        kind="pageview",
        label="/pricing",
        country="IN",
        country_name="India",
        source="Direct / None",
        browser="Chrome",
        os="Android",
        device="Mobile",
    ),
    FeedRow(
        at=NOW - timedelta(seconds=48),
        kind="pageview",
        label="/docs/install",
        country="BR",
        country_name="Brazil",
        source="GitHub",
        browser="Safari",
        os="macOS",
        device="Desktop",
    ),
    FeedRow(
        at=NOW - timedelta(seconds=75),
        kind="custom",
        label="Purchase",
        path="/checkout/done",
        country="FR",
        country_name="France",
        source="Google",
        browser="Safari",
        os="iOS",
        device="Mobile",
    ),
    FeedRow(
        at=NOW - timedelta(seconds=140),
        kind="pageview",
        label="/",
        accepted=False,
        reason="origin_not_allowed",
        country="GB",
        country_name="United Kingdom",
        browser="Chrome",
        os="Windows",
        device="Desktop",
    ),
    FeedRow(
        at=NOW - timedelta(minutes=3),
        kind="pageview",
        label="/changelog",
        source="Mastodon",
        browser="Firefox",
        os="Android",
        device="Mobile",
    ),
)


def live(**changes: object) -> views.LiveView:
    def short_list(key: str, lines: tuple[Row, ...]) -> Panel:
        return Panel(key=key, tabs=(), fragment_href=url("/live/now"), rows=lines)

    whole = views.LiveView(
        shell=shell("Live · example.com", stream_href="/p/1/stream"),
        now=37,
        minutes=(
            12,
            14,
            9,
            11,
            18,
            22,
            21,
            19,
            16,
            12,
            8,
            9,
            14,
            17,
            23,
            28,
            31,
            30,
            26,
            22,
            19,
            17,
            21,
            25,
            29,
            33,
            36,
            31,
            28,
            11,
        ),
        panels=(
            short_list(
                "pages",
                rows(
                    "event:page",
                    (
                        ("/blog/why-we-left-the-cloud", 14),
                        ("/", 9),
                        ("/pricing", 6),
                        ("/docs/install", 4),
                        ("/changelog", 3),
                    ),
                    whole=37,
                ),
            ),
            short_list(
                "sources",
                rows(
                    "visit:source",
                    (("Hacker News", 15), ("Google", 9), ("Direct / None", 7), ("GitHub", 3), ("Mastodon", 2)),
                    "brand",
                    whole=37,
                ),
            ),
            short_list(
                "countries",
                tuple(
                    replace(row, values=(value,), share=value / 12, percent=None)
                    for row, value in zip(country_rows(6), (12, 8, 5, 4, 3, 2), strict=True)
                ),
            ),
        ),
        feed=FEED,
        refresh_href=url("/live/now"),
        refused_href="/p/1/settings/refused",
        only_choices=tuple(
            Choice(key=key, href=url("/live", only=key), active=key == "all") for key in ("all", "accepted", "refused")
        ),
        sides=sides("visitors"),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def live_quiet() -> views.LiveView:
    return live(
        now=0,
        minutes=(0,) * 15 + (1,) + (0,) * 14,
        last_visit_at=NOW - timedelta(minutes=14),
        panels=tuple(replace(each, rows=(), empty="live") for each in live().panels),
        feed=(),
        shell=shell("Live · example.com", live=0),
    )


def sites(count: int = 5) -> views.SitesView:
    names = (
        "example.com",
        "shop.example.net",
        "docs.example.org",
        "a-really-long-domain-name.of-some-department.example.org",
        "status.example.com",
    )
    cards = tuple(
        views.SiteCard(
            name=name,
            href=f"/p/{place + 1}",
            visitors=(2_270, 12_430, 840, 31, 0)[place],
            previous=(2_010, 13_900, 840, 0, None)[place],
            hours=tuple(
                int((1 + sin((hour - 7) / 24 * 2 * pi)) * (50, 300, 20, 1, 0)[place])
                + (hour * (place + 3)) % 7 * (place < 3)
                for hour in range(24)
            ),
            live=(37, 112, 4, 0, 0)[place],
        )
        for place, name in enumerate(names[:count])
    )
    return views.SitesView(shell=shell("Sites", site=None, live=None), cards=cards, create_href="/sites/new")


def error(status: int) -> views.ErrorView:
    return views.ErrorView(shell=shell("Error", site=None, live=None), status=status, request_id="01JD3K8V6Q")
