"""Views of a site's limits, sampling and sources."""

from datetime import timedelta

from appliance.web import views_limits
from appliance.web.views_forms import Form
from tests.web.samples import NOW, shell
from tests.web.samples_admin import nav


def limits(used: int = 834_512, quota: int = 1_000_000, *, wrong: bool = False) -> views_limits.LimitsView:
    share = used * 100 // quota if quota else None
    return views_limits.LimitsView(
        shell=shell("Limits · example.com"),
        nav=nav("limits"),
        form=Form(
            action="/p/1/settings/limits",
            values={"rate_limit": "many" if wrong else "", "quota_events_month": str(quota or "")},
            errors={"rate_limit": "Use a whole number."} if wrong else {},
        ),
        rate_limit_default=0 if wrong else 5_000,
        used=used,
        month=NOW,
        quota=quota,
        share=share,
        level="ok" if share is None else "error" if share >= 100 else "warn",
    )


def sampling(*, empty: bool = False) -> views_limits.SamplingView:
    rule = views_limits.RuleFields
    rules = (
        rule(pattern="video_*", strategy="random", percent="5"),
        rule(pattern="scroll", strategy="visitor", percent="200", error="Use a percentage above 0 and up to 100."),
        rule(pattern="Order", strategy="none"),
    )
    return views_limits.SamplingView(
        shell=shell("Sampling · example.com"),
        nav=nav("sampling"),
        form=Form(
            action="/p/1/settings/sampling",
            values={"strategy": "none" if empty else "visitor", "percent": "" if empty else "12.5", "period": "600"},
        ),
        rules=(rule(), rule(), rule()) if empty else (*rules, rule()),
        offered=("Order", "Signup"),
    )


def sources(*, empty: bool = False) -> views_limits.SourcesView:
    row = views_limits.SourceRow
    seen = {"seen_at": NOW - timedelta(days=3)}
    rows = (
        row(name="billing", description="Invoices and refunds, from the back end", href="/s/1", events=1_204, **seen),
        row(name="ios", description="", href="/s/2", events=83_112, strategy="visitor", percent="10", **seen),
        row(name="old-app", description="Until 2024", href="/s/3", events=0, off=True, **seen),
        row(name="web_app", description="", href="/s/4", events=None, strategy="none", **seen),
        row(name="a-source-whose-name-is-as-long-as-nobody-would-want-it-to-be", description="", href="/s/5", **seen),
    )
    return views_limits.SourcesView(
        shell=shell("Sources · example.com"), nav=nav("sources"), rows=() if empty else rows
    )


def source() -> views_limits.SourceView:
    return views_limits.SourceView(
        shell=shell("ios · example.com"),
        nav=nav("sources"),
        name="ios",
        created_at=NOW - timedelta(days=400),
        form=Form(
            action="/p/1/settings/sources/2",
            values={"description": "The app", "take": "on", "strategy": "window", "percent": "0", "period": "600"},
            errors={"percent": "Use a percentage above 0 and up to 100, with at most four decimals."},
        ),
        back_href="/p/1/settings/sources",
    )
