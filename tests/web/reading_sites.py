"""A project of its own in the appliance of the tests, filled over HTTP by a system's own requests."""

from typing import Any

from appliance import clock
from appliance.storage import projects
from tests.running import Running


async def joined(running: Running, name: str, **fields: Any) -> Running:
    """The same appliance with another project; to be entered."""
    made = await projects.create(
        running.appliance.database, name=name, private_key=True, actor="test", at=clock.now(), **fields
    )
    return Running(running.appliance, made)


async def get(site: Running, path: str, key: str | None = None, **parameters: Any) -> Any:
    """The answer to a question with the private key."""
    headers = {"authorization": f"Bearer {site.private if key is None else key}"}
    return await site.http.get(path, params=parameters or None, headers=headers if key != "" else {})
