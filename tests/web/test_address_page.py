"""What the appliance sees of the address of who asks, and when it warns."""

from typing import Any

import pytest

from appliance import clock
from appliance.web import vantage
from tests.web.administration import Administration, Browser, words

PAGE = "/admin/address"
PROXIES = ("172.18.0.0/16",)
FORWARDED = {"x-forwarded-for": "91.10.10.10"}


async def browser_of(administration: Administration, peer: str) -> Browser:
    """An admin's, behind that peer."""
    browser = administration.client(peer)
    browser.cookies = (await administration.signed_in("admin")).cookies
    return browser


@pytest.mark.parametrize(
    ("peer", "trusted", "headers", "said", "shown"),
    [
        ("91.10.10.10", (), {}, "Nothing stands between you", "Your address 91.10.10.10 Your country Germany"),
        ("172.18.0.2", (), FORWARDED, "is not trusted to", "Your address 172.18.0.2 Your country Not known"),
        (
            "172.18.0.2",
            PROXIES,
            FORWARDED,
            "is trusted to say",
            "Your address 91.10.10.10 Your country Germany",
        ),
        ("172.18.0.2", PROXIES, {}, "does not say for whom it asks", "172.18.0.2 trusted"),
        ("172.18.0.2", (), {"x-real-ip": "91.10.10.10"}, "not in X-Forwarded-For", "x-real-ip 91.10.10.10 not read"),
        ("172.18.0.2", (), {"forwarded": "for=91.10.10.10"}, "not in X-Forwarded-For", "forwarded for=91.10.10.10"),
    ],
)
async def test_what_is_seen_and_what_to_do(
    database: Any, tmp_path: Any, peer: str, trusted: tuple[str, ...], headers: dict[str, str], said: str, shown: str
) -> None:
    administration = Administration(database, tmp_path, trusted_proxies=trusted)
    page = words(await (await browser_of(administration, peer)).get(PAGE, headers=headers))
    assert said in page
    assert shown in page
    assert (f"APPLIANCE_TRUSTED_PROXIES={peer}" in page) is (said == "is not trusted to")
    assert "No browser has sent anything in the last hour." in page


async def test_what_is_trusted_already_is_kept_in_what_is_advised(database: Any, tmp_path: Any) -> None:
    administration = Administration(database, tmp_path, trusted_proxies=("10.0.0.1",))
    page = words(await (await browser_of(administration, "172.18.0.2")).get(PAGE, headers=FORWARDED))
    assert "APPLIANCE_TRUSTED_PROXIES=10.0.0.1,172.18.0.2" in page


async def test_a_header_of_somebodys_own_making_is_shown_as_text(administration: Administration) -> None:
    headers = {"x-forwarded-for": "<script>alert(1)</script>"}
    page = await (await browser_of(administration, "91.10.10.10")).get(PAGE, headers=headers)
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        (["172.17.0.1"] * 200, "All of the last 200 requests of browsers came from one private address."),
        (["91.10.10.10"] * 200, "Nothing stands between you"),
        (["172.17.0.1"] * 5, "Nothing stands between you"),
        (["172.17.0.1", "172.17.0.2"] * 50, "100 requests came from 2 addresses."),
    ],
)
async def test_everybody_at_one_address(administration: Administration, addresses: list[str], said: str) -> None:
    for address in addresses:
        administration.crowd.add(address, clock.now())
    assert said in words(await (await browser_of(administration, "91.10.10.10")).get(PAGE))


async def test_the_gateway_of_a_container(administration: Administration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vantage, "_gateway", lambda: "172.17.0.1")
    browser = await browser_of(administration, "172.17.0.1")
    page = words(await browser.get(PAGE))
    assert "You come from 172.17.0.1, the gateway of the network in which the appliance runs." in page
    monkeypatch.setattr(vantage, "_gateway", lambda: "172.17.0.9")
    assert "Nothing stands" in words(await browser.get(PAGE))


@pytest.mark.parametrize(
    ("routes", "gateway"),
    [
        (
            "Iface\tDestination\tGateway\neth0\t00000000\t010011AC\neth0\t000011AC\t00000000\n",
            "172.17.0.1",
        ),
        ("Iface\tDestination\tGateway\neth0\t000011AC\t00000000\n", ""),
        ("Iface\n", ""),
        (None, ""),
    ],
)
def test_the_default_gateway_is_read(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, routes: str | None, gateway: str
) -> None:
    monkeypatch.setattr(vantage, "_ROUTES", tmp_path / "route")
    monkeypatch.setattr(vantage.sys, "byteorder", "little")
    if routes is not None:
        (tmp_path / "route").write_text(routes)
    vantage._gateway.cache_clear()
    assert vantage._gateway() == gateway
    vantage._gateway.cache_clear()


async def test_the_first_run_warns(administration: Administration) -> None:
    nobody = administration.client("172.18.0.2")
    first = f"/setup?token={administration.app.state.setup_token}"
    assert "172.18.0.2 says that it passes on requests" in words(await nobody.get(first, headers=FORWARDED))
    assert "passes on" not in words(await nobody.get(first))
    browser = await browser_of(administration, "172.18.0.2")
    page = words(await browser.get("/setup/site", headers=FORWARDED))
    assert "172.18.0.2 says that it passes on requests" in page
    await administration.project()
    install = await browser.get("/sites/example.com/install", headers=FORWARDED)
    assert 'href="/admin/address"' in install.text
    assert "passes on" not in words(await browser.get("/sites/example.com/install"))


async def test_it_is_for_admins(administration: Administration) -> None:
    assert (await (await administration.signed_in("viewer")).get(PAGE)).status_code == 403
    assert (await administration.client().get(PAGE)).status_code == 303
    assert f'href="{PAGE}"' in (await (await administration.signed_in()).get("/admin/system")).text
