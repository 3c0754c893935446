"""HTML in and out: pages from their templates, what a form sent as clean text, and routes that take no more than a
form may weigh, nor ids that no database holds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from appliance.errors import Invalid
from appliance.web.parts import parts_of

FORM_BYTES_MAX = 64 * 1024
NO_STORE = {"cache-control": "no-store"}

# One thread: pages take turns with each other, and with the loop every half a millisecond.
_RENDERING = ThreadPoolExecutor(1, thread_name_prefix="rendering")

Handler = Callable[[Request], Awaitable[Response]]


class _Id(Convertor[int]):
    """`{name:id}` in a path: the id of a row. Starlette's own `int` takes any number of digits, which neither Python
    nor a database does."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("id", _Id())


class Fields:
    """The fields of a form that was sent. NUL, which PostgreSQL cannot store, is taken out."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str) -> str:
        """The field's text, '' where there is none (a file is none)."""
        value = self._data.get(name)
        return value.replace("\0", "") if isinstance(value, str) else ""

    def all(self, name: str) -> list[str]:
        """Every value of a field that may stand several times."""
        return [value.replace("\0", "") for value in self._data.getlist(name) if isinstance(value, str)]

    def lines(self, name: str) -> list[str]:
        """What a text area has, by lines, commas and blanks, without empty ones."""
        return self.text(name).replace(",", " ").split()

    def on(self, name: str) -> bool:
        """Whether a box was ticked."""
        return name in self._data


async def read_form(request: Request) -> Fields:
    """The form of a POST. The number of fields is bounded here, the bytes by the route."""
    return Fields(await request.form(max_files=0, max_fields=1000, max_part_size=FORM_BYTES_MAX))


def errors_of(error: Invalid, names: Mapping[str, str] | None = None, *, known: tuple[str, ...]) -> dict[str, str]:
    """The sentence beside its field, or over the form where the form has no such field.

    `names` maps an error's field to the form's where they differ.
    """
    field = error.field or ""
    field = (names or {}).get(field, field)
    return {field if field in known else "": str(error)}


def get(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["GET"])


def post(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["POST"], max_body_size=FORM_BYTES_MAX)


async def page(
    request: Request,
    template: str,
    view: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page from its template and view."""
    return HTMLResponse(await rendered(request, template, view), status, headers)


async def rendered(request: Request, template: str, view: Any, **context: object) -> str:
    """A template's text, made in a thread: events that arrive meanwhile do not wait for it."""
    work = partial(parts_of(request).render, template, view, **context)
    return await asyncio.get_running_loop().run_in_executor(_RENDERING, work)


def see(location: str) -> Response:
    """After a POST: go and get that page."""
    return RedirectResponse(location, 303)
