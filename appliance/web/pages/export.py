"""A site's export page: a form, and the file that it asks for."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.web import shell, urls
from appliance.web.access import project_for
from appliance.web.exports import FORMATS, exported
from appliance.web.forms import get, page
from appliance.web.navigation import site_nav
from appliance.web.strings import text
from appliance.web.views_admin import ExportView
from appliance.web.views_forms import Form


def routes() -> list[Route]:
    return [get(urls.SITES + "/{site}/settings/export", show)]


async def show(request: Request) -> Response:
    access = await project_for(request, "viewer")
    sent = dict(request.query_params)
    values = {"dataset": "events", "format": "csv"} | sent
    errors: dict[str, str] = {}
    if "dataset" in sent:
        wanted = {name: sent.get(name, "") for name in ("dataset", "format")}
        first, last = sent.get("from", ""), sent.get("to", "")
        if first or last:
            wanted["date_range"] = f"{first or last},{last or first}"
        try:
            return await exported(request, access.project, wanted)
        except Invalid as error:
            errors = {"from" if error.field == "date_range" else "": str(error)}
    view = ExportView(
        shell=await shell.shell(request, text("nav.export"), access.project),
        nav=site_nav(access.project, "export"),
        form=Form(action=urls.export(access.project), values=values, errors=errors),
        datasets=("events", "visits"),
        file_formats=tuple(FORMATS),
    )
    return await page(request, "admin/export.html", view, status=422 if errors else 200)
