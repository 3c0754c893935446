"""Sites, settings, keys, accounts, health and audit log, as their pages show and change them."""

import re

import msgspec
import pytest

from appliance import clock
from appliance.model import ProjectSettings
from appliance.storage import accounts, audit, dead_letters, keys, memberships, projects
from tests.builders import event
from tests.memberships import set_memberships
from tests.web.administration import PASSWORD, words

SETTINGS = {
    "name": "Weblog",
    "domains": "example.com\nwww.example.org, shop.example",
    "timezone": "Asia/Tokyo",
    "currency": "JPY",
    "origins": "https://example.com\nhttps://shop.example",
    "visit_rule": "window",
    "visit_timeout_minutes": "45",
    "visit_window_minutes": "90",
    "privacy_signal": "drop",
    "hash_routing": "on",
    "raw_retention_days": " 90 ",
}


# ---------------------------------------------------------------- sites


async def test_the_start_page_is_the_dashboard_of_the_only_site_or_the_next_step(administration):
    browser = await administration.signed_in()
    assert (await browser.get("/")).headers["location"] == "/setup/site"
    await administration.project()
    assert (await browser.get("/")).headers["location"] == "/sites/example.com"
    await administration.project("shop.example")
    assert (await browser.get("/")).headers["location"] == "/sites"


async def test_a_viewer_without_a_site_is_not_asked_to_add_one(administration):
    browser = await administration.signed_in("viewer")
    assert (await browser.get("/")).headers["location"] == "/sites"
    assert 'href="/sites/new"' not in (await browser.get("/sites")).text


async def test_sites_are_cards_with_their_figures(administration):
    await administration.project()
    await administration.project("shop.example")
    browser = await administration.signed_in()
    page = await browser.get("/sites")
    assert (words(page).count("1.2k"), words(page).count("up 23")) == (2, 2)
    assert 'href="/sites/shop.example"' in page.text
    listed = words(await browser.get("/admin/sites"))
    assert "example.com" in listed
    assert "shop.example" in listed


async def test_a_site_without_a_readable_domain_is_addressed_by_its_id(administration):
    browser = await administration.signed_in()
    made = await administration.project("localhost")
    assert (await browser.get("/")).headers["location"] == f"/sites/{made.project.public_id}"


async def test_a_new_site_leads_to_its_snippet(administration):
    browser = await administration.signed_in("admin")
    assert 'data-guess="timezone"' in (await browser.get("/sites/new")).text
    answer = await browser.post(
        "/sites/new", name="Blog", domains="Example.com", timezone="Europe/Paris", currency="EUR"
    )
    assert answer.headers["location"] == "/sites/example.com/install"
    (project,) = await projects.list_all(administration.database)
    assert (project.name, project.domains, project.timezone) == ("Blog", ("example.com",), "Europe/Paris")


async def test_a_new_site_may_have_no_domain_and_must_have_a_name(administration):
    browser = await administration.signed_in()
    answer = await browser.post("/sites/new", name="", domains="", timezone="UTC", currency="EUR")
    assert answer.status_code == 422
    assert "Give it a name." in words(answer)
    answer = await browser.post("/sites/new", name="App", domains="", timezone="UTC", currency="EUR")
    (project,) = await projects.list_all(administration.database)
    assert answer.headers["location"] == f"/sites/{project.public_id}/install"


# ---------------------------------------------------------------- settings


async def test_settings_are_shown_changed_and_said_to_be(administration):
    made = await administration.project()
    browser = await administration.signed_in("admin")
    page = await browser.get("/sites/example.com/settings")
    assert '<option value="UTC" selected>' in page.text
    assert 'value="30"' in page.text
    answer = await browser.post("/sites/example.com/settings", **SETTINGS)
    assert answer.headers["location"] == "/sites/example.com/settings"
    changed = await projects.by_id(administration.database, made.project.id)
    assert (changed.name, changed.domains) == ("Weblog", ("example.com", "example.org", "shop.example"))
    assert (changed.timezone, changed.currency) == ("Asia/Tokyo", "JPY")
    assert changed.settings == ProjectSettings(
        visit_timeout_seconds=2700,
        visit_rule="window",
        visit_window_minutes=90,
        origins=("https://example.com", "https://shop.example"),
        privacy_signal="drop",
        hash_routing=True,
        trust_stated_address=False,
        raw_retention_days=90,
    )
    page = await browser.get("/sites/example.com/settings")
    assert "Saved." in words(page)
    assert '<option value="Asia/Tokyo" selected>' in page.text
    assert (await audit.recent(administration.database))[0].actor == "admin@example.com"


async def test_what_a_form_does_not_have_stays(administration):
    made = await administration.project(settings=ProjectSettings(deduplication_days=30))
    browser = await administration.signed_in()
    await browser.post("/sites/example.com/settings", **SETTINGS)
    changed = await projects.by_id(administration.database, made.project.id)
    assert changed.settings.deduplication_days == 30


async def test_how_long_visits_and_events_are_kept_is_changed_and_written_down(administration):
    made = await administration.project()
    browser = await administration.signed_in()
    for typed, kept, shown in (("7", 7, "7"), ("36500", 36_500, "36500"), ("", 0, "")):
        await browser.post("/sites/example.com/settings", **{**SETTINGS, "raw_retention_days": typed})
        changed = await projects.by_id(administration.database, made.project.id)
        assert changed.settings.raw_retention_days == kept
        field = re.findall(
            r'<input [^>]*name="raw_retention_days"[^>]*>', (await browser.get("/sites/example.com/settings")).text
        )
        assert [f'value="{shown}"' in each and 'placeholder="For ever"' in each for each in field] == [True]
    last, before, *_ = await audit.recent(administration.database)
    assert (last.action, last.actor, last.subject) == ("project.update", "owner@example.com", "Weblog")
    assert '"raw_retention_days":36500' in before.detail
    assert last.detail.partition(" → ")[2].count("raw_retention_days") == 0


async def test_the_settings_say_what_goes_and_what_stays(administration):
    await administration.project()
    page = words(await (await administration.signed_in()).get("/sites/example.com/settings"))
    assert "visits that ended before so many whole days go with their events, for good" in page
    assert "their unfiltered counts stay for ever" in page


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", " ", "Give it a name."),
        ("domains", "exa$mple.com", "is no domain"),
        ("domains", "taken.example", "taken.example belongs to another site already."),
        ("timezone", "Mars/Olympus", "is no IANA time zone"),
        ("currency", "BTC", "is no ISO 4217 currency"),
        ("origins", "example.com", "is no origin"),
        ("visit_timeout_minutes", "0", "Use a number from 1 to 720."),
        ("visit_timeout_minutes", "721", "Use a number from 1 to 720."),
        ("visit_timeout_minutes", "half", "Use a number from 1 to 720."),
        ("visit_timeout_minutes", "٣", "Use a number from 1 to 720."),
        ("visit_window_minutes", "1441", "Use a number from 1 to 1440."),
        *(
            ("raw_retention_days", typed, "Visits and events are kept from 7 to 36,500 days, or for ever.")
            for typed in ("6", "36501", "0", "-7", "90.5", "a year", "٩٠", "9" * 400)
        ),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_changes(administration, field, value, said):
    project = (await administration.project(name="Blog")).project
    await administration.project("taken.example")
    browser = await administration.signed_in()
    answer = await browser.post("/sites/example.com/settings", **{**SETTINGS, field: value})
    assert answer.status_code == 422
    assert said in words(answer)
    assert f'id="{field}-about"' in answer.text
    assert "https://shop.example" in answer.text or field == "origins"
    assert await projects.by_id(administration.database, project.id) == project


async def test_a_rule_that_cannot_be_is_said_over_the_form(administration):
    await administration.project()
    browser = await administration.signed_in()
    answer = await browser.post("/sites/example.com/settings", **{**SETTINGS, "visit_rule": "day"})
    assert answer.status_code == 422
    assert "Choose timeout or window." in words(answer)


async def test_what_was_typed_is_shown_as_text_and_never_as_markup(administration):
    await administration.project()
    browser = await administration.signed_in()
    sent = {**SETTINGS, "name": '"><script>alert(1)</script>', "currency": "<b>"}
    answer = await browser.post("/sites/example.com/settings", **sent)
    assert "<script>alert" not in answer.text
    assert "<b>”" not in answer.text
    await browser.post("/sites/example.com/settings", **{**sent, "currency": "EUR"})
    for path in ("/sites/example.com/settings", "/sites", "/admin/sites", "/admin/audit"):
        assert "<script>alert" not in (await browser.get(path)).text


async def test_a_form_that_is_too_large_is_refused(administration):
    await administration.project()
    browser = await administration.signed_in()
    answer = await browser.post("/sites/example.com/settings", **{**SETTINGS, "domains": "a" * 70_000})
    assert answer.status_code == 413
    answer = await browser.post("/sites/example.com/settings", **{f"field{n}": "x" for n in range(1001)})
    assert answer.status_code == 400


async def test_nul_is_taken_out_of_what_is_stored(administration):
    browser = await administration.signed_in()
    await browser.post("/sites/new", name="a\0b", domains="", timezone="UTC", currency="EUR")
    assert [p.name for p in await projects.list_all(administration.database)] == ["ab"]


# ---------------------------------------------------------------- deletion


@pytest.mark.parametrize("typed", ["", "example", "delete"])
async def test_a_site_is_not_deleted_until_its_domain_was_typed(administration, typed):
    await administration.project()
    browser = await administration.signed_in()
    answer = await browser.post("/sites/example.com/settings/delete", confirm=typed)
    assert answer.status_code == 422
    assert "Type example.com to delete the site." in words(answer)
    assert len(await projects.list_all(administration.database)) == 1


async def test_a_site_is_deleted_and_brought_back_by_the_toasts_undo(administration):
    made = await administration.project()
    browser = await administration.signed_in()
    answer = await browser.post("/sites/example.com/settings/delete", confirm=" Example.com ")
    assert answer.headers["location"] == "/sites"
    assert await projects.list_all(administration.database) == []
    page = await browser.get("/sites")
    assert "Site deleted." in words(page)
    (undo,) = re.findall(r'action="(/sites/[^"]+/restore)"', page.text)
    answer = await browser.post(undo)
    assert answer.headers["location"] == "/sites/example.com"
    assert await projects.list_all(administration.database) == [made.project]


async def test_a_deletion_cannot_be_undone_over_a_new_site_with_the_domain(administration):
    made = await administration.project()
    browser = await administration.signed_in()
    await browser.post("/sites/example.com/settings/delete", confirm="example.com")
    await administration.project()
    assert (await browser.post(f"/sites/{made.project.public_id}/restore")).status_code == 409


async def test_an_admin_is_not_offered_to_delete(administration):
    await administration.project()
    owner, admin = await administration.signed_in(), await administration.signed_in("admin")
    assert "Delete site" in words(await owner.get("/sites/example.com/settings"))
    assert "Delete site" not in words(await admin.get("/sites/example.com/settings"))


@pytest.mark.parametrize("value", ["unknown", "saved<b>", ".", "site_deleted.javascript:x", "site_deleted./evil"])
async def test_a_message_cookie_of_ones_own_making_says_nothing_else(administration, value):
    browser = await administration.signed_in()
    browser.cookies.set("flash", value)
    page = await browser.get("/sites")
    assert page.status_code == 200
    assert ('<div class="toast">' in page.text) == value.startswith("site_deleted.")
    assert "/restore" not in page.text


# ---------------------------------------------------------------- keys


async def test_a_private_key_is_shown_once(administration):
    made = await administration.project()
    browser = await administration.signed_in()
    answer = await browser.post(
        "/sites/example.com/settings/keys", name="grafana", kind="private", scopes=["read", "manage"]
    )
    (token,) = set(re.findall(r"sa_priv_\w{40}", answer.text))
    assert answer.headers["cache-control"] == "no-store"
    key = await keys.by_token(administration.database, token)
    assert (key.name, key.scopes, key.project_id) == ("grafana", ("read", "manage"), made.project.id)
    page = await browser.get("/sites/example.com/settings/keys")
    assert token not in page.text
    assert token[:12] in page.text


async def test_sending_the_form_twice_makes_one_key(administration):
    await administration.project()
    browser = await administration.signed_in()
    form = {"name": "grafana", "kind": "private", "scopes": "read"}
    await browser.post("/sites/example.com/settings/keys", **form)
    answer = await browser.post("/sites/example.com/settings/keys", **form)
    assert answer.status_code == 422
    assert "There is a key named “grafana” already." in words(answer)
    assert not re.findall(r"sa_priv_\w{40}", answer.text)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "", "kind": "private", "scopes": "read"}, "Give it a name"),
        ({"name": "x", "kind": "private"}, "Choose what the key may do."),
        ({"name": "x", "kind": "private", "scopes": "all"}, "There is no scope “all”."),
        ({"name": "x", "kind": "master", "scopes": "read"}, "Choose public or private."),
    ],
)
async def test_a_key_that_cannot_be_is_not_made(administration, form, said):
    made = await administration.project()
    browser = await administration.signed_in()
    answer = await browser.post("/sites/example.com/settings/keys", **form)
    assert answer.status_code == 422
    assert said in words(answer)
    assert len(await keys.list_of(administration.database, made.project.id)) == 1


async def test_keys_are_revoked_and_the_public_one_is_rotated(administration):
    made = await administration.project(private_key=True)
    browser = await administration.signed_in()
    page = await browser.get("/sites/example.com/settings/keys")
    assert made.public_key.token in page.text
    private = await keys.by_token(administration.database, made.private_key)
    await browser.post(f"/sites/example.com/settings/keys/{private.id}/revoke")
    page = await browser.get("/sites/example.com/settings/keys")
    assert "Key revoked." in words(page)
    await browser.post("/sites/example.com/settings/keys/rotate")
    page = await browser.get("/sites/example.com/settings/keys")
    assert "new public key" in words(page)
    current = await keys.current_public(administration.database, made.project.id)
    assert current.token != made.public_key.token
    assert current.token in page.text


async def test_a_private_key_is_replaced_and_shown_once(administration):
    made = await administration.project(private_key=True)
    browser = await administration.signed_in()
    old = await keys.by_token(administration.database, made.private_key)
    form = {"key": str(old.id), "grace": "86400"}
    page = await browser.post("/sites/example.com/settings/keys/rotate", **form)
    assert page.status_code == 200
    shown = re.search(r"sa_priv_[A-Za-z0-9_-]{20,}", page.text)
    assert shown
    new = await keys.by_token(administration.database, shown[0])
    assert new.scopes == old.scopes
    assert (await keys.by_token(administration.database, made.private_key)).expires_at is not None
    assert "Holds until" in words(page)
    again = await browser.post("/sites/example.com/settings/keys/rotate", **form)
    assert again.status_code == 422
    assert "replaced already" in words(again)
    assert shown[0] not in (await browser.get("/sites/example.com/settings/keys")).text
    wrong = await browser.post("/sites/example.com/settings/keys/rotate", key=str(new.id), grace="12")
    assert wrong.status_code == 422
    missing = await browser.post("/sites/example.com/settings/keys/rotate", key="x", grace="0")
    assert missing.status_code == 404


async def test_dead_letters_are_shown_stored_again_and_deleted(administration):
    made = await administration.project()
    database = administration.database
    browser = await administration.signed_in()
    assert "No dead letters" in words(await browser.get("/admin/dead-letters"))
    insert = "INSERT INTO dead_letter (at, project_id, error, event) VALUES (1, :project, :error, :event)"
    record_ = msgspec.msgpack.encode(event(name="Purchase", path="/shop"))
    for error, record in (("DataError: <too large>", record_), ("x", b"")):
        await database.write(insert, {"project": made.project.id, "error": error, "event": record})
    page = await browser.get("/admin/dead-letters")
    assert "Purchase" in words(page)
    assert "DataError: &lt;too large&gt;" in page.text
    assert "Not readable" in words(page)
    older, newer = sorted(letter.id for letter in await dead_letters.newest(database))
    await browser.post("/admin/dead-letters/retry", letter=str(older))
    assert "Is being stored again" in words(await browser.get("/admin/dead-letters"))
    await browser.post("/admin/dead-letters/delete", letter=str(newer))
    await browser.post("/admin/dead-letters/delete", letter="nonsense")
    assert [letter.id for letter in await dead_letters.newest(database)] == [older]
    await browser.post("/admin/dead-letters/delete", letter="")
    assert await dead_letters.count(database) == 0


async def test_the_key_of_another_site_cannot_be_revoked_through_ones_own(administration):
    await administration.project()
    other = await administration.project("shop.example", private_key=True)
    browser = await administration.signed_in()
    key = await keys.by_token(administration.database, other.private_key)
    answer = await browser.post(f"/sites/example.com/settings/keys/{key.id}/revoke")
    assert answer.status_code == 404
    assert (await keys.by_token(administration.database, other.private_key)).revoked_at is None


# ---------------------------------------------------------------- accounts


async def test_an_account_is_made_and_can_sign_in(administration):
    browser = await administration.signed_in("admin")
    answer = await browser.post(
        "/admin/accounts", name="Bob", email="Bob@example.com", password="bobs long password", role="viewer"
    )
    assert answer.headers["location"] == "/admin/accounts"
    page = words(await browser.get("/admin/accounts"))
    assert "Account created." in page
    assert "bob@example.com" in page
    answer = await administration.client().post("/login", email="bob@example.com", password="bobs long password")
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ({"email": "bob"}, 422, "Give an e-mail address"),
        ({"email": "admin@example.com"}, 422, "There is an account for admin@example.com already."),
        ({"password": "short"}, 422, "Use at least 10 characters"),
        ({"role": ""}, 422, "Choose a role."),
        ({"role": "owner"}, 403, "Only an owner may make owners."),
    ],
)
async def test_an_account_that_cannot_be_is_not_made(administration, sent, status, said):
    browser = await administration.signed_in("admin")
    form = {"name": "Bob", "email": "bob@example.com", "password": PASSWORD, "role": "viewer", **sent}
    answer = await browser.post("/admin/accounts", **form)
    assert answer.status_code == status
    assert said in words(answer)
    assert len(await accounts.list_all(administration.database)) == 1


@pytest.mark.parametrize(
    ("who", "whom", "role", "status"),
    [
        ("owner", "admin", "owner", 303),
        ("owner", "viewer", "admin", 303),
        ("admin", "viewer", "admin", 303),
        ("admin", "viewer", "owner", 403),
        ("admin", "owner", "viewer", 403),
        ("owner", "owner", "viewer", 403),  # oneself
        ("viewer", "viewer", "admin", 403),
        ("owner", "viewer", "emperor", 422),
        ("owner", "viewer", "member", 303),
        ("admin", "member", "viewer", 303),
        ("admin", "viewer", "member", 303),
        ("member", "member", "admin", 403),
        ("member", "viewer", "member", 403),
    ],
)
async def test_who_may_give_whom_which_role(administration, who, whom, role, status):
    everyone = {name: await administration.signed_in(name) for name in ("owner", "admin", "viewer", "member")}
    target = everyone[whom].account
    answer = await everyone[who].post(f"/admin/accounts/{target.id}/role", role=role)
    assert answer.status_code == status
    now = await accounts.by_id(administration.database, target.id)
    assert now.role == (role if status == 303 else target.role)


@pytest.mark.parametrize(
    ("who", "whom", "status"),
    [
        ("owner", "viewer", 303),
        ("owner", "admin", 303),
        ("owner", "owner", 403),
        ("admin", "viewer", 403),
        ("viewer", "admin", 403),
    ],
)
async def test_who_may_remove_whom(administration, who, whom, status):
    everyone = {name: await administration.signed_in(name) for name in ("owner", "admin", "viewer")}
    target = everyone[whom].account
    answer = await everyone[who].post(f"/admin/accounts/{target.id}/remove")
    assert answer.status_code == status
    assert (await accounts.by_id(administration.database, target.id) is None) == (status == 303)


async def test_an_account_that_is_not_there_cannot_be_changed(administration):
    browser = await administration.signed_in()
    for action in ("role", "remove"):
        assert (await browser.post(f"/admin/accounts/999/{action}", role="admin")).status_code == 404


async def test_the_list_offers_only_what_may_be_done(administration):
    await administration.account("owner")
    admin = await administration.signed_in("admin")
    viewer = await administration.account("viewer")
    page = (await admin.get("/admin/accounts")).text
    assert re.findall(r'action="(/admin/accounts/\d+/\w+)"', page) == [f"/admin/accounts/{viewer.id}/role"]
    assert 'value="owner"' not in page


# ---------------------------------------------------------------- system and audit log


async def test_health_is_shown_in_figures_and_as_a_fragment(administration):
    browser = await administration.signed_in("admin")
    page = await browser.get("/admin/system")
    sentences = ("Not ready.", "The journal is nearly full.", "12.3k", "Origin not allowed", "90 % of")
    for said in (*sentences, "Event counts for SQL event_counts_daily: plain view"):
        assert said in words(page).replace("\u202f", " ").replace("\u00a0", " ")
    fragment = await browser.get("/admin/system", headers={"hx-request": "true"})
    assert "<html" not in fragment.text
    assert 'id="health"' in fragment.text
    assert fragment.headers["cache-control"] == "no-store"


async def test_the_audit_log_tells_what_was_done_and_by_whom(administration):
    browser = await administration.signed_in()
    await browser.post("/login", email="owner@example.com", password=PASSWORD)
    await browser.post("/sites/new", name="Blog", domains="example.com", timezone="UTC", currency="EUR")
    await browser.post("/sites/example.com/settings", **{**SETTINGS, "domains": "example.com"})
    await browser.post("/sites/example.com/settings/keys", name="grafana", kind="private", scopes="read")
    page = words(await browser.get("/admin/audit"))
    assert "owner@example.com Created the site Blog" in page
    assert "timezone: UTC → Asia/Tokyo" in page
    assert "Created a key (private, read, grafana) sa_priv_" in page
    assert "Signed in 203.0.113.0/24" in page


async def test_a_long_audit_log_has_pages(administration):
    browser = await administration.signed_in()
    for n in range(120):
        await audit.record(administration.database, clock.now(), "cli", "project.create", f"Site {n}")
    first, last = await browser.get("/admin/audit"), await browser.get("/admin/audit?page=3")
    assert "Site 119" in words(first)
    assert "Site 69 " not in words(first)
    assert 'href="/admin/audit?page=2"' in first.text
    assert "Site 0" in words(last)
    assert 'href="/admin/audit?page=4"' not in last.text
    for page in ("0", "-1", "x", "99", "٣", "9" * 30):
        assert (await browser.get("/admin/audit", params={"page": page})).status_code == 200


# ---------------------------------------------------------------- the sites of an account


async def test_a_viewer_is_given_sites_and_loses_them(administration):
    blog, shop = (await administration.project()).project, (await administration.project("shop.example")).project
    ada, bob = await administration.signed_in(), await administration.signed_in("viewer")
    page = f"/admin/accounts/{bob.account.id}/access"
    assert "All" in words(await ada.get("/admin/accounts"))
    assert "Reads all sites, also those that are added later." in words(await ada.get(page))
    answer = await ada.post(page, site=shop.public_id, role="admin")
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert "1 site" in words(await ada.get("/admin/accounts"))
    assert "Sees these sites and no others." in words(await ada.get(page))
    assert [(await bob.get(f"/sites/{name}")).status_code for name in ("example.com", "shop.example")] == [404, 200]
    assert (await bob.get("/sites/shop.example/settings")).status_code == 200
    await ada.post(page, site=shop.public_id, role="viewer")
    assert (await bob.get("/sites/shop.example/settings")).status_code == 403
    await ada.post(page, site=blog.public_id, role="viewer")
    await ada.post(f"{page}/all")
    assert [(await bob.get(f"/sites/{name}")).status_code for name in ("example.com", "shop.example")] == [200, 200]
    await ada.post(page, site=blog.public_id, role="viewer")
    await ada.post(f"{page}/take", site=blog.public_id)
    said = words(await ada.get(page))
    assert "No site is left to them. They are a member now, who sees only what is given." in said
    assert "Sees no site, and may add sites of their own." in said
    assert (await bob.get("/sites/example.com")).status_code == 404
    assert "None" in words(await ada.get("/admin/accounts"))


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ({"site": "", "role": "viewer"}, 422, "Choose a site."),
        ({"site": "shop.example", "role": "viewer"}, 422, "Choose a site."),
        ({"role": "emperor"}, 422, "Choose owner, admin or viewer."),
        ({"role": "owner"}, 403, "Only an owner may give a site an owner, or take one from it."),
    ],
)
async def test_access_that_cannot_be_is_not_given(administration, sent, status, said):
    site = (await administration.project()).project
    admin, bob = await administration.signed_in("admin"), await administration.signed_in("viewer")
    answer = await admin.post(f"/admin/accounts/{bob.account.id}/access", **{"site": site.public_id, **sent})
    assert answer.status_code == status
    assert said in words(answer)
    assert await memberships.of_account(administration.database, bob.account) == {}


async def test_an_admin_leaves_owners_of_sites_alone(administration):
    site = (await administration.project()).project
    admin, bob = await administration.signed_in("admin"), await administration.signed_in("viewer")
    await set_memberships(administration.database, bob.account, {site.id: "owner"})
    page = f"/admin/accounts/{bob.account.id}/access"
    for action in (page, f"{page}/take", f"{page}/all"):
        assert (await admin.post(action, site=site.public_id, role="viewer")).status_code == 403
    said = await admin.get(page)
    assert "Take away" not in words(said)
    assert "Give all sites" not in words(said)
    assert await memberships.of_account(administration.database, bob.account) == {site.id: "owner"}


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_who_sees_all_sites_is_given_none(administration, role):
    site = (await administration.project()).project
    ada, other = await administration.signed_in(), await administration.account("admin")
    whom = ada.account if role == "owner" else other
    page = f"/admin/accounts/{whom.id}/access"
    assert "Sees and administers all sites." in words(await ada.get(page))
    for action in (page, f"{page}/take", f"{page}/all"):
        assert (await ada.post(action, site=site.public_id, role="viewer")).status_code == 403


async def test_a_member_is_given_a_site_but_never_all(administration):
    site = (await administration.project()).project
    ada, bob = await administration.signed_in(), await administration.signed_in("member")
    page = f"/admin/accounts/{bob.account.id}/access"
    assert (await ada.post(f"{page}/all")).status_code == 403
    await ada.post(page, site=site.public_id, role="viewer")
    assert (await bob.get("/sites/example.com")).status_code == 200
    answer = await ada.post(f"{page}/take", site="nothing")
    assert (answer.status_code, "Choose a site." in words(answer)) == (422, True)
    await ada.post(f"{page}/take", site=site.public_id)
    assert (await bob.get("/sites/example.com")).status_code == 404
    assert (await accounts.by_id(administration.database, bob.account.id)).role == "member"
