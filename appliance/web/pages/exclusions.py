"""A site's filters: what is left out before it is stored, its own rules, and who asks for it themself."""

import ipaddress
from collections import Counter

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance import clock
from appliance.errors import Invalid
from appliance.ingest.geo import country_name, country_names
from appliance.ingest.networks import packed
from appliance.model import Project
from appliance.storage import exclusions, projects
from appliance.storage.exclusions import KINDS, NAMED_FOR, Rule
from appliance.web import filtered, flash, shell, urls
from appliance.web.access import project_for, require_login, state_of
from appliance.web.forms import Fields, errors_of, get, page, post, read_form, see
from appliance.web.navigation import site_nav
from appliance.web.parts import parts_of
from appliance.web.strings import text
from appliance.web.vantage import note_on_site, vantage_of
from appliance.web.views import Icon
from appliance.web.views_forms import Form
from appliance.web.views_sending import DataCentreList, FiltersView, RuleRow

FIELDS = ("kind", "value", "note")
SWITCHES = ("drop_bots", "drop_data_centres", "drop_referrer_spam")
OWN_NOTE = "Own address"
IPV6_OWN_BITS = 64  # of an IPv6 address the rest changes by the day


def routes() -> list[Route]:
    path = urls.SITES + "/{site}/settings/filters"
    return [
        get(path, show),
        post(path, create),
        post(path + "/switches", switch),
        post(path + "/own-address", leave_out_own),
        post(path + "/{rule:id}/take-back", take_back),
    ]


async def show(request: Request) -> Response:
    return await _page(request, (await project_for(request, "admin")).project)


async def create(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    sent = _sent(await read_form(request))
    value = _country_code(sent["value"]) if sent["kind"] == "country" else sent["value"]
    try:
        await _make(request, project, sent["kind"], value, sent["note"])
    except Invalid as error:
        return await _page(request, project, sent, errors_of(error, known=FIELDS), error.status)
    flash.say(request, "rule_created")
    return see(urls.filters(project))


async def leave_out_own(request: Request) -> Response:
    """Leaves out the address that this request came from, unless everybody seems to have it."""
    project = (await project_for(request, "admin")).project
    vantage = vantage_of(request)
    network = own_network(vantage.address)
    if not network or vantage.hides:
        return see(urls.filters(project))
    await _make(request, project, "address", network, OWN_NOTE)
    flash.say(request, "rule_created")
    return see(urls.filters(project))


async def take_back(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    await exclusions.take_back(
        state_of(request).db, project, request.path_params["rule"], actor=await _actor(request), at=clock.now()
    )
    flash.say(request, "rule_taken_back")
    return see(urls.filters(project))


async def switch(request: Request) -> Response:
    project = (await project_for(request, "admin")).project
    form = await read_form(request)
    settings = msgspec.structs.replace(project.settings, **{name: form.on(name) for name in SWITCHES})
    await projects.update(state_of(request).db, project, settings=settings, actor=await _actor(request), at=clock.now())
    flash.say(request, "saved")
    return see(urls.filters(project))


def own_network(address: str) -> str:
    """What is left out of whoever comes from an address: an IPv4 address alone, of IPv6 the network that a household
    has; '' for what is no address."""
    number = packed(address)
    if number is None:
        return ""
    if number >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return str(ipaddress.IPv6Network((number >> 64 << 64, IPV6_OWN_BITS)))


async def _make(request: Request, project: Project, kind: str, value: str, note: str) -> Rule:
    actor = await _actor(request)
    return await exclusions.create(state_of(request).db, project, kind, value, note=note, actor=actor, at=clock.now())


async def _actor(request: Request) -> str:
    return (await require_login(request)).account.email


def _sent(form: Fields) -> dict[str, str]:
    return {name: form.text(name).strip() for name in FIELDS}


def _country_code(typed: str) -> str:
    """The code of a country that was typed as people call it; what is none as it is."""
    names = country_names()
    if typed.upper() in names:
        return typed.upper()
    return next((code for code, name in names.items() if name.casefold() == typed.casefold()), typed)


async def _page(
    request: Request,
    project: Project,
    sent: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    parts, now = parts_of(request), clock.now()
    refusals = list(parts.refusals.every(project.id, now))
    by_rule = Counter(refusal.rule for refusal in refusals if refusal.rule)
    kept = Counter(refusal.rule for refusal in refusals if refusal.rule and parts.refusals.has_event(refusal))

    def row(rule: Rule) -> RuleRow:
        country = rule.value if rule.kind == "country" else ""
        return RuleRow(
            kind=rule.kind,
            value=rule.value,
            label=country_name(country) if country else "",
            icon=Icon(kind="flag", code=country) if country in country_names() else None,
            note=rule.note,
            author=rule.author,
            created_at=shell.moment(rule.created_at, project.timezone),
            removed_at=shell.moment(rule.removed_at, project.timezone) if rule.removed_at is not None else None,
            filtered=by_rule[rule.id],
            kept=kept[rule.id],
            href=filtered.href(project, rule=rule.id),
            take_back_action=urls.filter_take_back(project, rule.id) if rule.removed_at is None else None,
        )

    rules = await exclusions.of_project(parts.db, project.id)
    vantage = vantage_of(request)
    own = own_network(vantage.address)
    is_out = any(rule.removed_at is None and (rule.kind, rule.value) == ("address", own) for rule in rules)
    reading = parts.data_centres.reading
    view = FiltersView(
        shell=await shell.shell(request, text("nav.filters"), project),
        nav=site_nav(project, "filters"),
        reasons=filtered.reasons(project, refusals),
        refused_href=urls.refused(project),
        switches=Form(
            action=urls.filter_switches(project),
            values={name: "on" for name in SWITCHES if getattr(project.settings, name)},
        ),
        data_centres=DataCentreList(
            networks=reading.networks, read_at=shell.moment(reading.at, project.timezone), error=reading.error
        )
        if reading is not None
        else None,
        rules=tuple(row(rule) for rule in rules if rule.removed_at is None),
        taken_back=tuple(
            row(rule) for rule in rules if rule.removed_at is not None and rule.removed_at > now - NAMED_FOR
        ),
        form=Form(
            action=urls.filters(project), values=sent if sent is not None else {"kind": KINDS[0]}, errors=errors or {}
        ),
        kinds=KINDS,
        countries=tuple(sorted(country_names().items(), key=lambda pair: pair[1])),
        own_address=own,
        own_action=urls.filter_own_address(project) if own and not is_out and not vantage.hides else None,
        own_is_out=is_out,
        address_note=await note_on_site(request, vantage),
    )
    return await page(request, "admin/filters.html", view, status)
