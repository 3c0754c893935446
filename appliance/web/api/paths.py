"""Where an API answers: a trailing slash or none is the same to it."""

from starlette.routing import Route

from appliance.web.forms import Handler


def at(path: str, handler: Handler, method: str) -> list[Route]:
    """A route with and without a slash at the end, which no client is sent to the other for: some do not follow."""
    return [Route(path, handler, methods=[method]), Route(f"{path}/", handler, methods=[method])]
