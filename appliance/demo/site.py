"""Pages at /demo/ with the real tracker: whoever clicks there sees it on the live page.

They exist while `appliance demo` serves. The tracker reports them like any site's, under the project's public key.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.demo.stage import Scene
from appliance.demo.world import Page, World
from appliance.ingest.money import minor_units
from appliance.queries.metrics import Money
from appliance.web.formats import money
from appliance.web.rendering import TEMPLATES, Renderer

HOME = "/demo/"
FILES = TEMPLATES / "demo"
PRODUCTS_MAX = 6
GUIDE = "Packing list\n\nTent, sleeping bag, mat, stove, rain jacket, and something to read.\n"


class Link(NamedTuple):
    """A page of the demo site in its navigation."""

    href: str
    label: str


class DemoPage(NamedTuple):
    """What a template gets as `view`. `product` is what the page's buttons sell."""

    title: str
    world: World
    key: str
    home: str
    navigation: tuple[Link, ...]
    path: str
    product: Page
    price: str
    dashboard: str
    others: tuple[Link, ...]


def routes(scenes: Sequence[Scene]) -> list[BaseRoute]:
    """The demo site's routes, to be mounted beside the appliance's own."""
    render = Renderer()
    by_slug = {scene.world.slug: scene for scene in scenes}

    async def home(request: Request) -> Response:
        return RedirectResponse(_home(scenes[0]), 307)

    async def page(request: Request) -> Response:
        scene = by_slug.get(request.path_params["site"])
        view = scene and _page(scene, by_slug, request.path_params.get("path", ""))
        if view is None:
            return PlainTextResponse("There is no such page on the demo site.\n", 404)
        return HTMLResponse(render("demo/page.html", view))

    async def guide(request: Request) -> Response:
        return PlainTextResponse(GUIDE, headers={"content-disposition": 'attachment; filename="packing-list.txt"'})

    async def file(request: Request) -> Response:
        return FileResponse(FILES / request.url.path.rpartition("/")[2])

    return [
        Route("/demo", home),
        Route(HOME, home),
        Route("/demo/site.css", file),
        Route("/demo/site.js", file),
        Route("/demo/packing-list.txt", guide),
        Route("/demo/{site}/", page),
        Route("/demo/{site}/{path:path}", page, methods=["GET", "POST"]),
    ]


def _home(scene: Scene) -> str:
    return f"{HOME}{scene.world.slug}/"


def _page(scene: Scene, by_slug: Mapping[str, Scene], path: str) -> DemoPage | None:
    """The page of the world's page kinds at that path; None where there is none."""
    world, home = scene.world, _home(scene)
    pages = [found for kind in world.kinds.values() for found in kind.pages[:PRODUCTS_MAX]]
    found = next((page for page in pages if page.path == f"/{path}"), None)
    if found is None or found in world.kinds["missing"].pages:
        return None
    shown = [kind.pages[0] for name, kind in world.kinds.items() if name != "missing"]
    sold = (
        found if found.price else next((page for page in pages if page.price), Page("/plans/team", "Team plan", 1, 49))
    )
    return DemoPage(
        title=found.title,
        world=world,
        key=scene.key,
        home=home,
        navigation=tuple(Link(home + page.path.removeprefix("/"), _label(page)) for page in shown),
        path=found.path,
        product=sold,
        price=money(Money(minor_units(sold.price, world.currency), world.currency)),
        dashboard=f"/sites/{world.domain}/live",
        others=tuple(Link(_home(other), other.world.name) for other in by_slug.values() if other is not scene),
    )


def _label(page: Page) -> str:
    if page.path == "/":
        return "Home"
    return page.title.partition(" | ")[0].partition(": ")[0]
