"""From where this very request seems to come, and so whether the addresses of visitors are their own."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.ingest.client_address import TrustedProxies
from appliance.ingest.geo import country_name
from appliance.web import shell, urls
from appliance.web.access import require_role, state_of
from appliance.web.forms import NO_STORE, get, page
from appliance.web.navigation import admin_nav
from appliance.web.strings import text
from appliance.web.vantage import vantage_of
from appliance.web.views_sending import AddressView


def routes() -> list[Route]:
    return [get(urls.ADMIN_ADDRESS, show)]


async def show(request: Request) -> Response:
    await require_role(request, "admin")
    vantage = vantage_of(request)
    trusted = state_of(request).settings.trusted_proxies
    view = AddressView(
        shell=await shell.shell(request, text("nav.address")),
        nav=admin_nav("address"),
        address=vantage.address,
        country=vantage.country,
        country_name=country_name(vantage.country) if vantage.country else "",
        peer=vantage.peer,
        headers=vantage.headers,
        believed=TrustedProxies(trusted).trusts(vantage.peer),
        advice=vantage.advice,
        hides=vantage.hides,
        setting=f"APPLIANCE_TRUSTED_PROXIES={','.join((*trusted, vantage.peer))}"
        if vantage.advice == "not_believed"
        else "",
        trusted=trusted,
        requests=vantage.crowd.requests,
        addresses=vantage.crowd.addresses,
    )
    return await page(request, "admin/address.html", view, headers=NO_STORE)
