"""What the requests under `/api/v1/sites` share: the body, and whose they are."""

from typing import Final, TypeVar

from starlette.requests import Request

from appliance.decoding import decode
from appliance.errors import Invalid, Unauthorized
from appliance.model import Project
from appliance.spelling import spelled
from appliance.web.api import bodies
from appliance.web.api.query import names_project

T = TypeVar("T")

BODY_BYTES_MAX: Final = 64 * 1024


async def wanted(request: Request, body: type[T]) -> T:
    """The body of a request. Raises Invalid with what is wrong with it."""
    text = await bodies.read(request, BODY_BYTES_MAX)
    try:
        return decode(text, body, what="the body")
    except Invalid as error:
        raise Invalid(str(error), code="malformed") from None


def check_site(site_id: str | None, project: Project) -> None:
    """Raises Unauthorized where a request names another project than its key's."""
    if site_id is not None and not names_project(site_id, project):
        raise Unauthorized(f"the key is not one of site {spelled(site_id)}", code="unknown_project")


def domain_of(project: Project) -> str | None:
    """The domain by which a project is called in answers."""
    return project.domains[0] if project.domains else None
