"""Where the tracker is found, and how long files may be kept."""

import re

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from appliance.web import assets
from appliance.web.rendering import STATIC, static


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/script.js", "script.js"),
        ("/script.x.js", "script.x.js"),
        ("/static/sdk/tracker.min.js", "script.js"),
        ("/static/sdk/tracker.min.x.js", "script.x.js"),
        ("/s/a.js", "script.js"),
        ("/s/a.x.js", "script.x.js"),
    ],
)
async def test_the_tracker_and_its_second_part(path: str, file: str) -> None:
    app = Starlette(routes=assets.routes("/s/a.js"))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://appliance.test") as http:
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.content == (assets.TRACKER / file).read_bytes()
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["access-control-allow-origin"] == "*"
        again = await http.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_only_what_a_file_is_now_is_kept_for_ever() -> None:
    fonts = set(re.findall(r"fonts/\S+?\?v=[\d.]+", (STATIC / "app.css").read_text()))
    own = [static("app.css"), static("vendor/htmx.min.js"), *(f"/static/{font}" for font in fonts)]
    others = ["/static/app.css", "/static/app.css?v=0123456789", *(f"{url}1" for url in own)]
    async with AsyncClient(transport=ASGITransport(Starlette(routes=assets.routes(""))), base_url="http://a") as http:
        said = {url: (await http.get(url)).headers["cache-control"] for url in (*own, *others)}
        assert (await http.get("/static/none.css?v=1")).status_code == 404
    assert len(fonts) == 3
    assert {url for url in said if "immutable" in said[url]} == set(own)
    assert {said[url] for url in said if url not in own} == {"no-cache"}
