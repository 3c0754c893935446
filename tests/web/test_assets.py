"""Where the tracker is found."""

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from appliance.web import assets


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
