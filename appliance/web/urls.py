"""The pages' addresses, made in one place; `routes.py` and the page modules serve them."""

from urllib.parse import quote

from appliance.model import Project

HOME = "/"
LOGIN = "/login"
REGISTER = "/register"
LOGOUT = "/logout"
SETUP = "/setup"
SETUP_SITE = "/setup/site"
SITES = "/sites"
SITE_NEW = "/sites/new"
ACCOUNT = "/account"
ACCOUNT_SIGN_OUT = "/account/sign-out"
ADMIN_PROJECTS = "/admin/sites"
ADMIN_ACCOUNTS = "/admin/accounts"
ADMIN_SYSTEM = "/admin/system"
ADMIN_AUDIT = "/admin/audit"
ADMIN_DEAD_LETTERS = "/admin/dead-letters"
ADMIN_ADDRESS = "/admin/address"
ADMIN_REQUESTS = "/admin/requests"  # those that name no site
ADMIN_REQUESTS_STREAM = f"{ADMIN_REQUESTS}/stream"


def segment(project: Project) -> str:
    """How a project stands in a URL: its first domain, which people can read, else its id.

    A domain without a dot (`localhost`, `new`) could be taken for another page.
    """
    if project.domains and "." in project.domains[0]:
        return quote(project.domains[0], safe="")
    return project.public_id


def dashboard(project: Project) -> str:
    return f"{SITES}/{segment(project)}"


def main_card(project: Project) -> str:
    """Figures and chart alone."""
    return f"{dashboard(project)}/main"


def panel(project: Project, key: str) -> str:
    """A card below the chart alone."""
    return f"{dashboard(project)}/panel/{key}"


def series_csv(project: Project) -> str:
    """The chart's data."""
    return f"{dashboard(project)}/series.csv"


def details(project: Project, dimension: str) -> str:
    """All values of a dimension; a property may be called anything."""
    return f"{dashboard(project)}/details/{quote(dimension, safe=':')}"


def details_csv(project: Project, dimension: str) -> str:
    return f"{details(project, dimension)}.csv"


def filter_form(project: Project) -> str:
    return f"{dashboard(project)}/filter"


def filter_values(project: Project) -> str:
    """What a filter can be set to."""
    return f"{filter_form(project)}/values"


def filter_apply(project: Project) -> str:
    return f"{filter_form(project)}/apply"


def live(project: Project) -> str:
    return f"{dashboard(project)}/live"


def live_now(project: Project) -> str:
    """The live page's figures."""
    return f"{live(project)}/now"


def requests(project: Project) -> str:
    """The live page's other side: what was sent, request by request."""
    return f"{live(project)}/requests"


def requests_stream(project: Project) -> str:
    return f"{requests(project)}/stream"


def stream(project: Project) -> str:
    """The site's SSE stream."""
    return f"{dashboard(project)}/stream"


def report(project: Project, key: str) -> str:
    """One of the reports about people: `retention`, `funnels`, ..."""
    return f"{dashboard(project)}/{key}"


def report_csv(project: Project, key: str) -> str:
    """What a report shows, as a file."""
    return f"{report(project, key)}.csv"


def funnel_save(project: Project) -> str:
    return f"{report(project, 'funnels')}/save"


def funnel_delete(project: Project, funnel_id: int) -> str:
    return f"{report(project, 'funnels')}/{funnel_id}/delete"


def user(project: Project) -> str:
    """One identified user; the parameter `user` says who."""
    return report(project, "user")


def event(project: Project) -> str:
    """One event of the log; the parameter `at` says which."""
    return report(project, "event")


def install(project: Project) -> str:
    return f"{dashboard(project)}/install"


def test_event(project: Project) -> str:
    return f"{dashboard(project)}/install/test"


def settings(project: Project) -> str:
    return f"{dashboard(project)}/settings"


def keys(project: Project) -> str:
    return f"{settings(project)}/keys"


def key_revoke(project: Project, key_id: int) -> str:
    return f"{keys(project)}/{key_id}/revoke"


def key_rotate(project: Project) -> str:
    return f"{keys(project)}/rotate"


def limits(project: Project) -> str:
    return f"{settings(project)}/limits"


def sampling(project: Project) -> str:
    return f"{settings(project)}/sampling"


def sources(project: Project) -> str:
    return f"{settings(project)}/sources"


def source(project: Project, source_id: int) -> str:
    return f"{sources(project)}/{source_id}"


def goals(project: Project) -> str:
    return f"{settings(project)}/goals"


def goal_delete(project: Project, goal_id: int) -> str:
    return f"{goals(project)}/{goal_id}/delete"


def segments(project: Project) -> str:
    return f"{settings(project)}/segments"


def segment_rename(project: Project, segment_id: int) -> str:
    return f"{segments(project)}/{segment_id}/rename"


def segment_delete(project: Project, segment_id: int) -> str:
    return f"{segments(project)}/{segment_id}/delete"


def segment_save(project: Project) -> str:
    """Keeps the filters of the state in the address."""
    return f"{dashboard(project)}/segments/save"


def export(project: Project) -> str:
    return f"{settings(project)}/export"


def imports(project: Project) -> str:
    return f"{settings(project)}/imports"


def import_stop(project: Project, import_id: str) -> str:
    return f"{imports(project)}/{import_id}/stop"


def import_forget(project: Project, import_id: str) -> str:
    return f"{imports(project)}/{import_id}/forget"


def filters(project: Project) -> str:
    """What is filtered before it is stored."""
    return f"{settings(project)}/filters"


def filter_switches(project: Project) -> str:
    return f"{filters(project)}/switches"


def filter_own_address(project: Project) -> str:
    """Leaves out the address that asks for it."""
    return f"{filters(project)}/own-address"


def filter_take_back(project: Project, rule_id: int) -> str:
    return f"{filters(project)}/{rule_id}/take-back"


def refused(project: Project) -> str:
    return f"{settings(project)}/refused"


def refused_let_in(project: Project) -> str:
    return f"{refused(project)}/let-in"


def site_delete(project: Project) -> str:
    return f"{settings(project)}/delete"


def site_restore(public_id: str) -> str:
    return f"{SITES}/{public_id}/restore"


def account_role(account_id: int) -> str:
    return f"{ADMIN_ACCOUNTS}/{account_id}/role"


def account_remove(account_id: int) -> str:
    return f"{ADMIN_ACCOUNTS}/{account_id}/remove"


def account_access(account_id: int) -> str:
    """The sites that an account may see."""
    return f"{ADMIN_ACCOUNTS}/{account_id}/access"


def account_access_take(account_id: int) -> str:
    return f"{account_access(account_id)}/take"


def account_access_all(account_id: int) -> str:
    return f"{account_access(account_id)}/all"


def session_end(session_id: str) -> str:
    return f"{ACCOUNT}/sessions/{session_id}/end"
