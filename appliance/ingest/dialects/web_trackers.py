"""What the dialects of other products' web trackers have in common: how their tags name a project and their pages an
address, and what our refusals are to them."""

from appliance.credentials import PUBLIC_PREFIX
from appliance.errors import ApplianceError
from appliance.ingest.sent import Decoded

# An event for a site that is not here, or from another one.
ELSEWHERE = frozenset(("unknown_project", "unknown_host", "origin_not_allowed"))
BLOCKED_ADDRESS = "blocked_address"

_ID_CHARACTERS = 36  # a UUID; domains may have hyphens, but those with four have full stops


def for_site(decoded: Decoded, site: str) -> Decoded:
    """Note on `decoded` which project its events are for, by its public key, its id, or one of its domains; the same
    object."""
    if site.startswith(PUBLIC_PREFIX):
        decoded.key = site
    elif len(site) == _ID_CHARACTERS and site.count("-") == 4 and "." not in site:
        decoded.project = site.lower()
    else:
        decoded.domain = site
    return decoded


def status_of(error: ApplianceError) -> int:
    """The status of a refusal: what is wrong with a request is 400, also that it names no site or one that is not
    here."""
    return 400 if error.status == 422 or error.code in ("missing_key", "unknown_project") else error.status


def on_host(host: str, address: str) -> str:
    """A path on a host as a URL; an address that has a host or a scheme of its own stays as it is."""
    first, has_more, _ = address.partition("/")
    if not host or ":" in first or address.startswith("//"):
        return address
    return f"https://{host}{address}" if has_more and not first else f"https://{host}/{address}"
