"""Views of a believable site for the gallery and the tests: a month of example.com, seen on 20 November 2025."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from math import cos, pi, sin
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from appliance.web import views
from appliance.web.formats import Money
from appliance.web.navigation import REPORTS
from appliance.web.views import (
    Area,
    Banner,
    Bucket,
    Chart,
    Chip,
    Choice,
    Icon,
    Kpi,
    Panel,
    Row,
    Tab,
)

ZONE = ZoneInfo("Europe/Berlin")
NOW = datetime(2025, 11, 20, 14, 32, 8, tzinfo=ZONE)
SITE = "/p/1"

KEYS = ("visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration")
VALUES = (77_120, 101_340, 219_408, 2.165, 41.2, 128.4)
BEFORE = (68_870, 92_960, 190_790, 2.052, 44.1, 123.5)
PERIODS = (
    "day", "yesterday", "24h", "live", "7d", "28d", "30d", "91d", "month", "last_month", "year", "12mo", "all",
)  # fmt: skip

SOURCES = (
    ("Google", 22_140), ("Direct / None", 17_410), ("Hacker News", 9_120), ("GitHub", 4_388), ("ChatGPT", 3_102),
    ("DuckDuckGo", 1_804), ("Reddit", 1_190), ("Mastodon", 402), ("LinkedIn", 380),
)  # fmt: skip
TOP_PAGES = (
    ("/", 18_204), ("/blog/why-we-left-the-cloud", 12_011), ("/pricing", 8_140), ("/docs/install", 6_020),
    ("/docs/api/events", 3_911), ("/changelog", 2_802),
    ("/blog/2025/11/a-very-long-title-that-nobody-shortened-before-publishing-it-to-the-world", 1_930),
    ("/مقالات/تحليلات", 1_104), ("/login", 640),
)  # fmt: skip
BROWSERS = (
    ("Chrome", 31_020), ("Safari", 17_144), ("Firefox", 8_230), ("Edge", 4_105), ("Samsung Internet", 1_101),
    ("Opera", 702), ("Brave", 431), ("Vivaldi", 88),
)  # fmt: skip
COUNTRIES = (
    ("US", "United States", 21_030), ("DE", "Germany", 9_871), ("IN", "India", 7_422), ("GB", "United Kingdom", 6_018),
    ("FR", "France", 4_120), ("CA", "Canada", 3_907), ("BR", "Brazil", 3_004), ("NL", "Netherlands", 2_480),
    ("AU", "Australia", 2_208), ("ES", "Spain", 1_950), ("SE", "Sweden", 1_612), ("JP", "Japan", 1_509),
    ("PL", "Poland", 1_233), ("IT", "Italy", 1_180), ("CH", "Switzerland", 990), ("AT", "Austria", 871),
    ("SG", "Singapore", 820), ("NO", "Norway", 640), ("MX", "Mexico", 588), ("ZA", "South Africa", 402),
    ("KR", "South Korea", 377), ("ID", "Indonesia", 350), ("NG", "Nigeria", 214), ("AR", "Argentina", 190),
    ("NZ", "New Zealand", 177), ("TR", "Türkiye", 160), ("MT", "Malta", 44), ("MU", "Mauritius", 12),
    ("IS", "Iceland", 9),
)  # fmt: skip
SHAPE = (
    2_780, 2_771, 2_775, 3_360, 3_190, 2_640, 2_812, 3_730, 3_985, 3_600, 3_905, 3_820, 2_480, 2_210, 2_805, 3_110,
    2_770, 2_812, 2_685, 1_602, 1_390, 1_660, 1_570, 2_072, 1_970, 2_070, 1_302, 1_480, 2_270, 1_310,
)  # fmt: skip


def url(path: str = "", **query: str) -> str:
    return f"{SITE}{path}?{urlencode(query)}" if query else f"{SITE}{path}"


def shell(title: str = "example.com", **changes: object) -> views.Shell:
    whole = views.Shell(
        title=title,
        now=NOW,
        account=views.Account(email="ada@example.com", name="Ada", role="owner", profile_href="/account"),
        sites=(
            views.SiteLink(name="example.com", href=SITE, active=True, visitors=2_270),
            views.SiteLink(name="docs.example.org", href="/p/2", visitors=840),
            views.SiteLink(name="shop.example.net", href="/p/3", visitors=12_430),
        ),
        site=views.SiteLink(name="example.com", href=SITE, active=True),
        sites_href="/sites",
        settings_href="/p/1/settings",
        admin_href="/admin/system",
        live=37,
        live_href="/p/1/live",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def period(key: str = "30d", start: date = date(2025, 10, 22), end: date = date(2025, 11, 20)) -> views.PeriodMenu:
    return views.PeriodMenu(
        key=key,
        start=start,
        end=end,
        choices=tuple(
            Choice(key=name, href="/p/1/live" if name == "live" else url(period=name), active=name == key)
            for name in PERIODS
        ),
        previous_href=url(period=key, date="2025-10-22"),
        action=SITE,
        hidden=(("f", "is:visit:country:DE"),),
    )


def compare(key: str = "previous_period") -> views.CompareMenu:
    return views.CompareMenu(
        key=key,
        choices=tuple(
            Choice(key=name, href=url(period="30d", compare=name), active=name == key)
            for name in ("off", "previous_period", "year_over_year")
        ),
        match_weekday_href=url(period="30d", match="0"),
        start=date(2025, 9, 22) if key != "off" else None,
        end=date(2025, 10, 21) if key != "off" else None,
        action=SITE,
    )


def days(metric: str = "visitors") -> tuple[Bucket, ...]:
    """A month with a weekly beat, a deploy, and a last day that is still running."""
    factor = dict(zip(KEYS, VALUES, strict=True))[metric] / 77_120
    flat = metric in {"bounce_rate", "visit_duration", "views_per_visit"}
    first = datetime(2025, 10, 22, tzinfo=ZONE)
    return tuple(
        Bucket(
            start=first + timedelta(days=index),
            value=_figure(metric, value, factor, flat, index),
            previous=_figure(metric, int(value * (0.84 + 0.05 * sin(index))), factor, flat, index + 3),
            previous_start=first + timedelta(days=index - 30),
            incomplete=index == len(SHAPE) - 1,
            href=url(period="day", date=f"{first + timedelta(days=index):%Y-%m-%d}"),
            note="Deployed 2.4.0" if index == 8 else None,
        )
        for index, value in enumerate(SHAPE)
    )


def _figure(metric: str, value: int, factor: float, flat: bool, index: int) -> float:
    if flat:
        level = dict(zip(KEYS, VALUES, strict=True))[metric]
        return round(level * (1 + 0.12 * cos(index / 7 * 2 * pi)), 2)
    return int(value * factor)


def chart(metric: str = "visitors", buckets: tuple[Bucket, ...] | None = None, compared: bool = True) -> Chart:
    return Chart(
        metric=metric,
        interval="day",
        intervals=tuple(
            Choice(
                key=name,
                href=url(period="30d", interval=name),
                fragment_href=url("/main", interval=name),
                active=name == "day",
            )
            for name in ("hour", "day", "week")
        ),
        buckets=days(metric) if buckets is None else buckets,
        compared=compared,
        zone="Europe/Berlin",
    )


def kpis(selected: str = "visitors", **changes: object) -> tuple[Kpi, ...]:
    return tuple(
        replace(
            Kpi(
                metric=metric,
                value=value,
                previous=before,
                selected=metric == selected,
                href=url(period="30d", metric=metric),
                fragment_href=url("/main", metric=metric),
            ),
            **changes,  # type: ignore[arg-type]
        )
        for metric, value, before in zip(KEYS, VALUES, BEFORE, strict=True)
    )


def tabs(panel: str, *keys: str, active: str | None = None) -> tuple[Tab, ...]:
    chosen = active or keys[0]
    return tuple(
        Tab(
            key=key,
            href=url(**{"period": "30d", f"tab.{panel}": key}),
            fragment_href=url(f"/panel/{panel}", tab=key),
            active=key == chosen,
        )
        for key in keys
    )


def rows(dimension: str, pairs: tuple[tuple[str, int], ...], icon: str = "", whole: int = 77_120) -> tuple[Row, ...]:
    most = max(value for _, value in pairs)
    return tuple(
        Row(
            label=label,
            values=(value,),
            share=value / most,
            percent=value / whole * 100,
            href=url(period="30d", f=f"is:{dimension}:{label}"),
            external_href=f"https://example.com{label}" if dimension == "event:page" else None,
            icon=Icon(kind="brand", code=label)
            if icon == "brand" and label != "Direct / None"
            else Icon(kind="ui", code="arrow-right")
            if icon
            else None,
        )
        for label, value in pairs
    )


def country_rows(limit: int = 9) -> tuple[Row, ...]:
    return tuple(
        Row(
            label=name,
            values=(value,),
            share=value / COUNTRIES[0][2],
            percent=value / 77_120 * 100,
            href=url(period="30d", f=f"is:visit:country:{code}"),
            icon=Icon(kind="flag", code=code),
        )
        for code, name, value in COUNTRIES[:limit]
    )


def areas() -> tuple[Area, ...]:
    return tuple(
        Area(
            code=code,
            label=name,
            value=value,
            percent=value / 77_120 * 100,
            href=url(f=f"is:visit:country:{code}"),
        )
        for code, name, value in COUNTRIES
    )


def panel(key: str, tab: str | None = None) -> Panel:
    """The dashboard's panel of a key with a tab chosen."""
    fragment = url(f"/panel/{key}")
    match key:
        case "sources" if tab == "visit:utm_campaign":
            return Panel(
                key=key,
                tabs=tabs(key, "visit:source", "visit:channel", "visit:utm_campaign", active=tab),
                variants=tabs(
                    key,
                    "visit:utm_campaign",
                    "visit:utm_source",
                    "visit:utm_medium",
                    "visit:utm_term",
                    "visit:utm_content",
                ),
                fragment_href=fragment,
                empty="campaigns",
                empty_href="/docs/campaigns",
            )
        case "sources":
            return Panel(
                key=key,
                tabs=tabs(key, "visit:source", "visit:channel", "visit:utm_campaign", active=tab),
                rows=rows("visit:source", SOURCES, "brand"),
                details_href=url("/details/visit:source"),
                fragment_href=fragment,
            )
        case "pages":
            return Panel(
                key=key,
                tabs=tabs(key, "event:page", "visit:entry_page", "visit:exit_page", active=tab),
                rows=rows("event:page", TOP_PAGES),
                details_href=url("/details/event:page"),
                fragment_href=fragment,
            )
        case "locations" if tab == "visit:country":
            return Panel(
                key=key,
                tabs=tabs(key, "map", "visit:country", "visit:language", active=tab),
                rows=country_rows(),
                details_href=url("/details/visit:country"),
                fragment_href=fragment,
            )
        case "locations":
            return Panel(
                key=key,
                tabs=tabs(key, "map", "visit:country", "visit:language", active=tab),
                body="map",
                areas=areas(),
                details_href=url("/details/visit:country"),
                fragment_href=fragment,
            )
        case "devices":
            return Panel(
                key=key,
                tabs=tabs(key, "visit:browser", "visit:os", "visit:screen", active=tab),
                rows=rows("visit:browser", BROWSERS, "brand"),
                details_href=url("/details/visit:browser"),
                fragment_href=fragment,
            )
        case "events" if tab == "funnels":
            return Panel(
                key=key,
                tabs=tabs(key, "event:goal", "event:name", "funnels", active=tab),
                body="funnels",
                funnels=(funnel(),),
                wide=True,
                fragment_href=fragment,
            )
        case _:
            return Panel(
                key="events",
                tabs=tabs("events", "event:goal", "event:name", active=tab),
                columns=("visitors", "events", "conversion_rate", "total_revenue"),
                rows=goal_rows(),
                wide=True,
                details_href=url("/details/event:goal"),
                fragment_href=fragment,
            )


def goal_rows() -> tuple[Row, ...]:
    goals = (
        ("Signup", 4_120, 4_388, 5.34, None),
        ("Visit /pricing", 8_140, 11_020, 10.6, None),
        ("Purchase", 612, 655, 0.79, Money(4_812_350, "EUR")),
        ("Outbound link", 2_210, 3_480, 2.87, None),
        ("File download", 21, 25, 0.03, None),
    )
    return tuple(
        Row(
            label=name,
            values=(people, count, rate, revenue),
            share=people / 8_140,
            href=url(f=f"is:event:goal:{name}"),
        )
        for name, people, count, rate, revenue in goals
    )


def funnel() -> views.Funnel:
    steps = (
        ("Visit /pricing", 8_140, 100.0, 0),
        ("Start trial", 3_010, 37.0, 5_130),
        ("Add card", 1_302, 16.0, 1_708),
        ("Purchase", 612, 7.5, 690),
    )
    return views.Funnel(
        name="From pricing to purchase",
        rate=7.5,
        steps=tuple(
            views.FunnelStep(label=label, visitors=people, rate=rate, dropped=lost)
            for label, people, rate, lost in steps
        ),
    )


CHIPS = (
    Chip(
        dimension="visit:country",
        operator="is",
        values=("Germany",),
        edit_href=url("/filter", edit="0"),
        remove_href=url(period="30d"),
    ),
    Chip(
        dimension="event:page",
        operator="contains",
        values=("/docs",),
        edit_href=url("/filter", edit="1"),
        remove_href=url(period="30d"),
    ),
)


def dashboard(metric: str = "visitors", **changes: object) -> views.DashboardView:
    whole = views.DashboardView(
        shell=shell("example.com", stream_href="/p/1/stream"),
        href=SITE,
        chips=CHIPS[:1],
        filter_href=url("/filter", period="30d"),
        clear_href=url(period="30d"),
        period=period(),
        compare=compare(),
        kpis=kpis(metric),
        chart=chart(metric),
        panels=tuple(panel(key) for key in ("sources", "pages", "locations", "devices", "events")),
        main_href=url("/main"),
        ticking=True,
        last_days_href=url(period="30d"),
        csv_href=url("/export.csv", period="30d"),
        reports=tuple(Choice(key=key, href=url(f"/{key}"), active=key == "overview") for key in ("overview", *REPORTS)),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def install(**changes: object) -> views.Install:
    whole = views.Install(
        domain="example.com",
        origin="https://stats.example.com",
        script_src="https://stats.example.com/script.js",
        public_key="sa_4f7c2e90b1d34a5f",
        dashboard_href=SITE,
        test_action="/p/1/install/test",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def dashboard_new() -> views.DashboardView:
    """No data ever."""
    nothing = tuple(replace(bucket, value=None, previous=None, note=None) for bucket in days())
    return dashboard(
        shell=shell("example.com", stream_href="/p/1/stream", live=0),
        chips=(),
        kpis=kpis(value=None, previous=None),
        chart=chart(buckets=nothing, compared=False),
        panels=tuple(replace(panel(key), rows=(), areas=(), details_href=None) for key in ("sources", "pages")),
        install=install(),
        ticking=False,
    )


def dashboard_quiet() -> views.DashboardView:
    """No data in the period, and a panel that failed, one that waits, one without anything."""
    zero = tuple(replace(bucket, value=0, previous=None, note=None) for bucket in days())
    return dashboard(
        kpis=tuple(replace(kpi, value=0 if kpi.metric in KEYS[:3] else None, previous=None) for kpi in kpis()),
        chart=chart(buckets=zero, compared=False),
        empty=True,
        imported="left_out",
        compare=compare("off"),
        chips=CHIPS,
        panels=(
            replace(panel("sources", "visit:utm_campaign")),
            replace(panel("pages"), state="error", rows=()),
            replace(panel("locations"), state="lazy", areas=(), fragment_href="/slow"),
            replace(panel("devices"), rows=(), details_href=None),
            replace(panel("events"), rows=(), empty="goals", empty_href="/p/1/settings/goals", details_href=None),
        ),
        shell=shell("example.com", banners=(Banner(key="delayed", level="warn", value=184),), live=0),
    )


def dashboard_today() -> views.DashboardView:
    """Hours of a day with a gap, sampled, one hour running, without a comparison."""
    midnight = datetime(2025, 11, 20, tzinfo=ZONE)
    counts = (31, 22, 14, 9, 8, 12, 40, 88, None, None, 190, 204, 188, 176, 92)
    hours = tuple(
        Bucket(
            start=midnight + timedelta(hours=hour),
            value=counts[hour] if hour < len(counts) else None,
            incomplete=hour == 14,
        )
        for hour in range(24)
    )
    return dashboard(
        chart=replace(chart(buckets=hours, compared=False), interval="hour", intervals=()),
        kpis=kpis(previous=None, approximate=True),
        period=period("day", date(2025, 11, 20), date(2025, 11, 20)),
        compare=compare("off"),
        chips=(),
        panels=tuple(
            replace(panel(key, tab), sampled=True)
            for key, tab in (("sources", None), ("locations", "visit:country"), ("events", "funnels"))
        ),
        shell=shell(
            "example.com",
            banners=(
                Banner(key="sampled", level="info", value=10, href="/docs/sampling"),
                Banner(key="disk_low", level="error", value=812_000_000),
            ),
        ),
    )


def dashboard_shared() -> views.DashboardView:
    """A public dashboard of three months: bars, comparison a year before, imported figures, nobody signed in."""
    months = tuple(
        Bucket(
            start=datetime(2025, 9 + index, 1, tzinfo=ZONE),
            value=value,
            previous=before,
            previous_start=datetime(2024, 9 + index, 1, tzinfo=ZONE),
            incomplete=index == 2,
        )
        for index, (value, before) in enumerate(((61_200, 48_000), (74_900, 80_100), (52_300, 71_000)))
    )
    whole = dashboard(
        chips=(),
        chart=replace(chart(buckets=months), interval="month", intervals=()),
        panels=tuple(replace(panel(key), imported=True) for key in ("sources", "pages", "locations")),
        imported="included",
        compare=compare("year_over_year"),
        csv_href=None,
        period=period("91d", date(2025, 8, 21), date(2025, 11, 19)),
    )
    return replace(
        whole,
        shell=shell(
            "example.com",
            account=None,
            sites=(),
            sites_href=None,
            settings_href=None,
            admin_href=None,
            read_only=True,
            live_href=None,
        ),
    )
