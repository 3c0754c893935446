"""What pages say of refused and filtered events: why, how many, and where the list of them is."""

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlencode

from appliance.ingest.refusals import Refusal
from appliance.model import Project
from appliance.web import urls
from appliance.web.views_sending import FilteredReason


def href(project: Project, *, reason: str = "", rule: int = 0, search: str = "", page: int = 1) -> str:
    """The list of some of them."""
    wanted = {"reason": reason, "rule": rule, "search": search, "page": page if page > 1 else 0}
    query = urlencode({name: value for name, value in wanted.items() if value})
    return f"{urls.refused(project)}?{query}" if query else urls.refused(project)


def reasons(project: Project, refusals: Iterable[Refusal]) -> tuple[FilteredReason, ...]:
    """How many for each reason, the most frequent first."""
    counts: Counter[str] = Counter()
    for refusal in refusals:
        counts[refusal.reason] += refusal.times
    return tuple(
        FilteredReason(reason=reason, count=number, href=href(project, reason=reason))
        for reason, number in counts.most_common()
    )
