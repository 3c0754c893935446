"""What was filtered or refused on a site in the last 48 hours, and why."""

from collections import Counter
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.ingest.refusals import KEPT_PER_PROJECT
from appliance.web import shell, urls
from appliance.web.access import project_for
from appliance.web.forms import get, page
from appliance.web.navigation import site_nav
from appliance.web.parts import parts_of
from appliance.web.strings import text
from appliance.web.views_admin import RefusedRow, RefusedView

ROWS_MAX = 200


def routes() -> list[Route]:
    return [get(urls.SITES + "/{site}/settings/refused", show)]


async def show(request: Request) -> Response:
    access = await project_for(request)
    project, chosen = access.project, request.query_params.get("reason", "")
    refusals = parts_of(request).refusals.newest(project.id, clock.now(), KEPT_PER_PROJECT)
    counts: Counter[str] = Counter()
    for refusal in refusals:
        counts[refusal.reason] += refusal.times
    here = urls.refused(project)
    view = RefusedView(
        shell=await shell.shell(request, text("nav.refused"), project),
        nav=site_nav(project, "refused"),
        rows=tuple(
            RefusedRow(
                at=shell.moment(refusal.at, project.timezone),
                verdict="dropped" if refusal.verdict == "dropped" else "rejected",
                reason=refusal.reason,
                message=refusal.message,
                name=refusal.name,
                page=refusal.page,
                dialect=refusal.dialect,
                times=refusal.times,
            )
            for refusal in refusals
            if chosen in ("", refusal.reason)
        )[:ROWS_MAX],
        reasons=tuple(
            (reason, number, f"{here}?{urlencode({'reason': reason})}") for reason, number in counts.most_common()
        ),
        reason=chosen,
        all_href=here,
    )
    return await page(request, "admin/refused.html", view)
