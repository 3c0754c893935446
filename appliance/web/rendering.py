"""Jinja set-up: templates, formats and words in, HTML out. A page and its fragments are the same files."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from appliance.queries.metrics import Money
from appliance.web import charts, filter_words, formats, strings
from appliance.web.formats import Delta, Number
from appliance.web.views import Bucket, Chart, DashboardView
from appliance.web.views_reports import Cohort

FOLDER = Path(__file__).resolve().parent.parent
STATIC = FOLDER / "static"
TEMPLATES = FOLDER / "templates"

# A fragment may be kept for as long as it takes to click what was hovered; a page is another answer.
FRAGMENT_HEADERS = {"Cache-Control": "private, max-age=5", "Vary": "HX-Request"}

# Products whose name is not the name of their mark in brands.svg.
_BRANDS = {
    "arch": "archlinux",
    "chrome": "googlechrome",
    "chromemobile": "googlechrome",
    "chromeos": "googlechrome",
    "chromium": "googlechrome",
    "devto": "devdotto",
    "firefox": "firefoxbrowser",
    "firefoxmobile": "firefoxbrowser",
    "gemini": "googlegemini",
    "gnulinux": "linux",
    "hackernews": "ycombinator",
    "ios": "apple",
    "ipados": "apple",
    "macos": "apple",
    "macosx": "apple",
    "mobilesafari": "safari",
    "operamobile": "opera",
    "twitter": "x",
    "weibo": "sinaweibo",
}


class Renderer:
    """Renders templates by their path under `templates/`, with a view as `view`."""

    def __init__(self, templates: Path = TEMPLATES) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(templates),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            t=words,
            static=static,
            brand=brand,
            ago=ago,
            plot=charts.plot,
            columns=charts.columns,
            sparkline=charts.sparkline,
            quantiles=formats.quantiles,
            dimension=dimension,
            tab_label=tab_label,
            reason=reason,
            chart_value=chart_value,
            chart_summary=chart_summary,
            change_text=change_text,
            series_years=series_years,
            cohort_years=cohort_years,
            product=strings.PRODUCT,
            script_words=strings.for_scripts(),
            formats=formats,
        )
        self._environment.filters.update(
            short=formats.short,
            exact=formats.exact,
            percent=formats.percent,
            duration=formats.duration,
            money=formats.money,
            bytes=formats.size,
            initial=formats.initial,
            hue=formats.hue,
        )

    def __call__(self, template: str, view: object, **context: object) -> str:
        """The template's text. StrictUndefined: a name that nobody gave is an error, never a hole in the page."""
        return self._environment.get_template(template).render(view=view, **context)


def wants_fragment(headers: Mapping[str, str]) -> bool:
    """Whether the request comes from a swap. Going back in history asks for the whole page again."""
    return headers.get("hx-request") == "true" and "hx-history-restore-request" not in headers


@cache
def static(path: str) -> str:
    """The URL of a file under static/, with its content's hash as version: it may be cached for ever."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={digest[:10]}"


@cache
def _brand_marks() -> frozenset[str]:
    return frozenset(re.findall(r'<symbol id="(\w+)"', (STATIC / "brands.svg").read_text()))


def brand(name: str) -> str | None:
    """The id in brands.svg of a product's or source's mark; None where there is none: a letter tile then."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    slug = _BRANDS.get(plain, plain)
    return slug if slug in _brand_marks() else None


def words(key: str, **values: object) -> Markup:
    """A text of the catalogue for a page: text and values are escaped, values that are Markup are not."""
    if not values:
        return _pattern(key)
    return _pattern(strings.form(key, values.get("n"))).format_map(values)


@cache
def _pattern(key: str) -> Markup:
    return escape(strings.TEXTS[key])


def ago(value: datetime, now: datetime) -> Markup:
    """ "12 s ago", as the page is made; the script keeps it true afterwards."""
    unit, count = formats.ago(value, now)
    return words(f"ago.{unit}", n=count)


def dimension(key: str) -> Markup:
    """The name of a dimension in the singular."""
    return escape(filter_words.dimension_name(key))


def tab_label(key: str) -> Markup:
    """The name of a tab or of a table of a dimension's values."""
    return words(f"tab.{key}") if f"tab.{key}" in strings.TEXTS else dimension(key)


def reason(code: str | None) -> Markup:
    """Why an event was not taken. A code that has no words yet is shown as it is."""
    key = f"reason.{code}"
    return words(key) if key in strings.TEXTS else escape((code or "").replace("_", " "))


def chart_value(chart: Chart, value: Number | None, full: bool = False) -> str:
    """A figure of a series: on the axis short, in the table with every digit."""
    if chart.currency and value is not None:
        return formats.metric(chart.metric, Money(int(value), chart.currency), full)
    return formats.metric(chart.metric, value, full)


def change_text(change: Delta) -> Markup:
    """A change in a table: +12 %, −3 pt, New."""
    return words(f"change.{change.kind}", amount=_amount(change)) if change.amount else words(f"change.{change.kind}")


def chart_summary(view: DashboardView) -> Markup:
    """The chart in one sentence, for who does not see it."""
    chosen = next(kpi for kpi in view.kpis if kpi.selected)
    change = formats.change(chosen.metric, chosen.value, chosen.previous)
    return words(
        "chart.summary" if change.kind == "none" else f"chart.summary.{change.kind}",
        metric=words(f"metric.{chosen.metric}"),
        period=words(f"period.{view.period.key}"),
        value=formats.metric(chosen.metric, chosen.value, full=True),
        amount=_amount(change),
    )


def series_years(buckets: Sequence[Bucket]) -> bool:
    """Whether a series needs the year beside each day: it and its comparison touch more than one."""
    starts = [start for bucket in buckets for start in (bucket.start, bucket.previous_start) if start is not None]
    return len({start.year for start in starts}) > 1


def cohort_years(cohorts: Sequence[Cohort]) -> bool:
    """The same for the rows of a retention table."""
    return len({cohort.start.year for cohort in cohorts}) > 1


def _amount(change: Delta) -> Markup:
    return words("delta.points" if change.points else "delta.percent", n=int(formats.rounded(change.amount)))
