"""Signing in and out, and how long it lasts."""

import re
from http.cookies import SimpleCookie

import pytest
import time_machine

from appliance.storage import accounts, audit, login_sessions
from appliance.web.access import safe_next
from appliance.web.throttle import OncePerDay
from tests.web.administration import PASSWORD, Administration, words

SECOND, HOUR, DAY = 1, 3600, 86_400


def cookie(answer, name="session"):
    found = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return found.get(name)


# ---------------------------------------------------------------- signing in


async def test_the_right_password_opens_the_page_that_was_asked_for(administration):
    await administration.account()
    browser = administration.client()
    answer = await browser.get("/admin/system?x=1")
    assert answer.headers["location"] == "/login?next=/admin/system%3Fx%3D1"
    page = await browser.get(answer.headers["location"])
    assert 'name="next" value="/admin/system?x=1"' in page.text
    answer = await browser.post("/login", email="OWNER@example.com", password=PASSWORD, next="/admin/system?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/system?x=1")
    assert (await browser.get("/admin/system")).status_code == 200
    assert (await browser.get("/login")).headers["location"] == "/"


async def test_the_cookie_is_for_this_host_and_no_script_and_thirty_days(administration):
    await administration.account()
    answer = await administration.client().post("/login", email="owner@example.com", password=PASSWORD)
    morsel = cookie(answer)
    assert re.fullmatch(r"[\w-]{43}", morsel.value)
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/")
    assert (int(morsel["max-age"]), morsel["secure"], morsel["domain"]) == (30 * DAY, "", "")
    stored = await administration.database.read("SELECT * FROM login_session")
    assert morsel.value not in repr(stored)


@pytest.mark.parametrize(
    ("settings", "base_url", "headers"),
    [
        ({}, "https://appliance.test", {}),
        ({"public_url": "https://appliance.test"}, "http://appliance.test", {}),
        ({"trusted_proxies": ("203.0.113.9",)}, "http://appliance.test", {"x-forwarded-proto": "https"}),
    ],
    ids=["https", "https outside by the public URL", "https outside by a trusted proxy"],
)
async def test_where_browsers_use_https_the_cookie_is_secure(database, tmp_path, settings, base_url, headers):
    administration = Administration(database, tmp_path, **settings)
    await administration.account()
    browser = administration.client(base_url=base_url)
    answer = await browser.post("/login", headers, email="owner@example.com", password=PASSWORD)
    morsel = cookie(answer, "__Host-session")
    assert morsel["secure"] is True
    assert (morsel["path"], morsel["domain"]) == ("/", "")
    sent = {**headers, "cookie": f"__Host-session={morsel.value}"}
    assert (await administration.client(base_url=base_url).get("/account", headers=sent)).status_code == 200
    plain = {**headers, "cookie": f"session={morsel.value}"}
    assert (await administration.client(base_url=base_url).get("/account", headers=plain)).status_code == 303


async def test_a_proxy_that_is_not_trusted_is_not_believed(administration):
    await administration.account()
    answer = await administration.client().post(
        "/login", {"x-forwarded-proto": "https"}, email="owner@example.com", password=PASSWORD
    )
    assert cookie(answer, "__Host-session") is None
    assert cookie(answer) is not None


@pytest.mark.parametrize(
    ("email", "password"),
    [("owner@example.com", "wrong password"), ("nobody@example.com", PASSWORD), ("", ""), ("owner@example.com", "")],
)
async def test_a_wrong_login_says_the_same_whether_the_account_exists_or_not(administration, email, password):
    await administration.account()
    answer = await administration.client().post("/login", email=email, password=password)
    assert answer.status_code == 401
    assert "do not belong together" in words(answer)
    assert cookie(answer) is None


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("/sites/example.com?period=7d", "/sites/example.com?period=7d"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/a\\b", "/"),
        ("/a\r\nset-cookie: x=1", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_a_login_leads_only_to_pages_of_the_appliance(target, leads_to):
    assert safe_next(target) == leads_to


async def test_a_token_of_ones_own_making_is_nobodys(administration):
    await administration.account()
    for value in ("x" * 43, "", "x" * 5000):
        answer = await administration.client().get("/account", headers={"cookie": f"session={value}"})
        assert answer.headers["location"] == "/login?next=/account"


async def test_signing_in_again_ends_the_session_before(administration):
    browser = await administration.signed_in()
    before = browser.cookies["session"]
    await browser.post("/login", email="owner@example.com", password=PASSWORD)
    assert browser.cookies["session"] != before
    answer = await administration.client().get("/account", headers={"cookie": f"session={before}"})
    assert answer.status_code == 303


async def test_a_login_is_in_the_audit_log_with_no_more_than_a_network(administration):
    await administration.account()
    await administration.client().post("/login", email="owner@example.com", password=PASSWORD)
    entry = (await audit.recent(administration.database))[0]
    assert (entry.actor, entry.action, entry.detail) == ("owner@example.com", "login", "203.0.113.0/24")


# ---------------------------------------------------------------- how long it lasts


async def test_a_session_slides_and_its_cookie_with_it_at_most_once_an_hour(administration):
    with time_machine.travel(1_760_000_000, tick=False) as now:
        browser = await administration.signed_in()
        now.shift(HOUR - SECOND)
        assert cookie(await browser.get("/account")) is None
        now.shift(SECOND)
        renewed = cookie(await browser.get("/account"))
        assert int(renewed["max-age"]) == 30 * DAY
        assert cookie(await browser.get("/account")) is None
        for _ in range(3):
            now.shift(29 * DAY)
            assert (await browser.get("/account")).status_code == 200
        now.shift(30 * DAY)
        assert (await browser.get("/account")).status_code == 303


async def test_signing_out_ends_the_session_for_whoever_has_its_cookie(administration):
    browser = await administration.signed_in()
    stolen = {"cookie": f"session={browser.cookies['session']}"}
    assert (await administration.client().get("/account", headers=stolen)).status_code == 200
    answer = await browser.post("/logout")
    assert answer.headers["location"] == "/login"
    assert "You are signed out." in words(await browser.get("/login"))
    assert (await administration.client().get("/account", headers=stolen)).status_code == 303


async def test_signing_out_needs_no_login(administration):
    await administration.account()
    assert (await administration.client().post("/logout")).headers["location"] == "/login"


async def test_signing_out_everywhere_ends_every_session_of_the_account_alone(administration):
    laptop = await administration.signed_in()
    phone = administration.client()
    await phone.post("/login", email="owner@example.com", password=PASSWORD)
    other = await administration.signed_in("viewer")
    await laptop.post("/account/sign-out")
    assert [(await b.get("/account")).status_code for b in (laptop, phone, other)] == [303, 303, 200]


async def test_a_removed_account_is_out_at_once(administration):
    browser = await administration.signed_in("viewer")
    await administration.account("owner")
    await accounts.remove(administration.database, browser.account, actor="cli", at=1)
    assert (await browser.get("/account")).status_code == 303


# ---------------------------------------------------------------- guessing


async def guess(administration, times, email="owner@example.com", address="198.51.100.7"):
    browser = administration.client(address)
    return [(await browser.post("/login", email=email, password="wrong password")) for _ in range(times)]


async def test_after_five_wrong_passwords_the_next_has_to_wait_and_is_told_how_long(administration):
    await administration.account()
    with time_machine.travel(1_760_000_000, tick=False) as now:
        answers = await guess(administration, 6)
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert answers[5].headers["retry-after"] == "1"
        assert "Try again in 1 second." in words(answers[5])
        waits = []
        for _ in range(10):
            now.shift(int((await guess(administration, 1))[0].headers.get("retry-after", 0)))
            assert (await guess(administration, 1))[0].status_code == 401
            waits.append(int((await guess(administration, 1))[0].headers["retry-after"]))
        assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_waiting_is_the_same_for_an_account_that_does_not_exist(administration):
    await administration.account()
    with time_machine.travel(1_760_000_000, tick=False):
        known = [(a.status_code, words(a)) for a in await guess(administration, 7)]
        unknown = [(a.status_code, words(a)) for a in await guess(administration, 7, "nobody@example.com")]
    assert known == unknown


async def test_while_waiting_the_right_password_is_not_even_looked_at(administration):
    await administration.account()
    with time_machine.travel(1_760_000_000, tick=False) as now:
        await guess(administration, 5)
        browser = administration.client("198.51.100.7")
        right = {"email": "owner@example.com", "password": PASSWORD}
        assert (await browser.post("/login", **right)).status_code == 429
        now.shift(1)
        assert (await browser.post("/login", **right)).status_code == 303
        assert [answer.status_code for answer in await guess(administration, 5)] == [401] * 5


async def test_the_owner_elsewhere_is_not_kept_out_by_somebody_who_guesses(administration):
    await administration.account()
    await guess(administration, 6)
    answer = await administration.client("203.0.113.9").post("/login", email="owner@example.com", password=PASSWORD)
    assert answer.status_code == 303


async def test_guessing_at_many_accounts_from_one_address_is_slowed_too(administration):
    throttle = administration.app.state.login_throttle
    waits = [throttle.attempt(f"p{n}@example.com", "198.51.100.7", 0) for n in range(33)]
    assert waits == [0] * 30 + [1] * 3
    assert throttle.attempt("p0@example.com", "198.51.100.8", 0) == 0


async def test_attempts_side_by_side_do_not_slip_through(administration):
    throttle = administration.app.state.login_throttle
    assert sum(throttle.attempt("a@b.c", "198.51.100.7", 0) == 0 for _ in range(50)) == 5


async def test_the_memory_of_attempts_is_bounded_and_fades(administration):
    throttle = administration.app.state.login_throttle
    for n in range(12_000):
        throttle.attempt(f"p{n}@example.com", f"10.0.{n >> 8}.{n & 255}", 0)
    assert len(throttle._attempts) == 10_000
    for _ in range(6):
        throttle.attempt("a@b.c", "198.51.100.7", 0)
    assert throttle.attempt("a@b.c", "198.51.100.7", 2_000_000 * HOUR) == 0


async def test_a_clock_that_is_set_back_makes_no_wait_longer(administration):
    throttle = administration.app.state.login_throttle
    now = 1_000_000 * HOUR
    for _ in range(30):
        throttle.attempt("a@b.c", "198.51.100.7", now)
    assert throttle.attempt("a@b.c", "198.51.100.7", now) > 0
    assert throttle.attempt("a@b.c", "198.51.100.7", now - 24 * HOUR) == 0


async def test_somebody_who_guesses_is_in_the_audit_log_once_a_day(administration):
    await administration.account()
    await guess(administration, 9)
    entries = [e for e in await audit.recent(administration.database) if e.action == "login.throttled"]
    assert [(e.subject, e.detail) for e in entries] == [("owner@example.com", "198.51.100.0/24")]


def test_the_same_thing_is_reported_once_a_day():
    reports, day = OncePerDay(), 86_400_000_000
    assert [reports.first("a", at) for at in (0, day - 1, day, day + 1)] == [True, False, True, False]
    for n in range(10_001):
        reports.first(f"thing {n}", day)
    assert len(reports._seen) == 10_000


# ---------------------------------------------------------------- one's own account


async def test_a_new_password_keeps_this_device_and_signs_out_the_others(administration):
    laptop = await administration.signed_in()
    phone = administration.client()
    await phone.post("/login", email="owner@example.com", password=PASSWORD)
    answer = await laptop.post("/account", current_password=PASSWORD, password="a new long one")
    assert answer.headers["location"] == "/account"
    assert "Other devices were signed out" in words(await laptop.get("/account"))
    assert (await phone.get("/account")).status_code == 303
    assert (await phone.post("/login", email="owner@example.com", password=PASSWORD)).status_code == 401
    assert (await phone.post("/login", email="owner@example.com", password="a new long one")).status_code == 303


@pytest.mark.parametrize(
    ("current", "new", "status", "field"),
    [("wrong password", "a new long one", 422, "current_password"), (PASSWORD, "short", 422, "password")],
)
async def test_a_password_that_cannot_be_changed_stays(administration, current, new, status, field):
    browser = await administration.signed_in()
    answer = await browser.post("/account", current_password=current, password=new)
    assert answer.status_code == status
    assert f'id="{field}-about"' in answer.text
    assert await accounts.authenticate(administration.database, "owner@example.com", PASSWORD)


async def test_the_old_password_cannot_be_guessed_without_end_at_an_open_browser(administration):
    browser = await administration.signed_in()
    for _ in range(5):
        await browser.post("/account", current_password="wrong password", password="a new long one")
    answer = await browser.post("/account", current_password=PASSWORD, password="a new long one")
    assert answer.status_code == 429


async def test_a_device_is_listed_by_what_it_is_and_can_be_signed_out(administration):
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    browser = await administration.signed_in()
    phone = administration.client()
    await phone.post("/login", {"user-agent": firefox}, email="owner@example.com", password=PASSWORD)
    page = await browser.get("/account")
    assert "Firefox · " in words(page)
    assert "This device" in words(page)
    (action,) = re.findall(r'action="(/account/sessions/\w+/end)"', page.text)
    assert (await browser.post(action)).headers["location"] == "/account"
    assert (await phone.get("/account")).status_code == 303
    assert (await browser.post(action)).status_code == 404


async def test_nobody_ends_the_session_of_somebody_else(administration):
    owner, viewer = await administration.signed_in(), await administration.signed_in("viewer")
    (session,) = await login_sessions.list_of(administration.database, owner.account.id, at=0)
    answer = await viewer.post(f"/account/sessions/{session.token_hash[:8].hex()}/end")
    assert answer.status_code == 404
    assert (await owner.get("/account")).status_code == 200
