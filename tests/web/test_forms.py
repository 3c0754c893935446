"""What routes take."""

import re

import pytest

from tests.running import Running
from tests.web.every_route import filled, routes


@pytest.mark.parametrize("digits", [19, 4301])  # above 64 bits; above what Python reads as a number
async def test_an_id_that_no_database_holds_is_not_found_by_anybody(running: Running, digits: int) -> None:
    walked = 0
    for method, path in routes(running):
        if re.search(r"\{\w+:(?!path)\w+\}", path):
            walked += 1
            answer = await running.http.request(method, filled(path, "example.com", "9" * digits))
            assert answer.status_code == 404, (method, path)
    assert walked > 15


async def test_the_highest_id_is_asked_for_and_not_found(administration) -> None:
    browser = await administration.signed_in()
    answer = await browser.post(f"/admin/accounts/{'9' * 18}/role", role="admin")
    assert answer.status_code == 404
    answer = await browser.post(f"/admin/accounts/{browser.account.id:018}/role", role="admin")
    assert answer.status_code == 403  # one's own
