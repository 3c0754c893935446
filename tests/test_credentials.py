"""Passwords and keys: what is accepted, what is stored, what is told apart."""

import asyncio
import re
import time

import pytest

from appliance import credentials
from appliance.errors import Invalid, Unavailable

ARGON2_FORM = r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"


async def test_a_password_is_verified_by_its_hash_and_by_no_other():
    stored = await credentials.hash_password("correct horse battery")
    assert re.fullmatch(ARGON2_FORM, stored)
    assert stored != await credentials.hash_password("correct horse battery")
    assert await credentials.verify_password("correct horse battery", stored)
    assert not await credentials.verify_password("correct horse batterY", stored)
    assert not credentials.needs_rehash(stored)


async def test_composed_and_decomposed_letters_are_the_same_password():
    stored = await credentials.hash_password("Zürich-Gärten")
    assert await credentials.verify_password("Zu\u0308rich-Ga\u0308rten", stored)


@pytest.mark.parametrize("stored", ["", "plain text", "$argon2id$v=19$m=19456,t=2,p=1$broken"])
async def test_a_damaged_hash_lets_nobody_in(stored):
    assert not await credentials.verify_password("correct horse battery", stored)


async def test_an_unknown_account_costs_as_much_work_as_a_wrong_password():
    stored = await credentials.hash_password("correct horse battery")

    async def seconds(known: str | None) -> float:
        start = time.process_time()
        assert not await credentials.verify_password("wrong", known)
        return time.process_time() - start

    await seconds(stored)
    wrong = min([await seconds(stored) for _ in range(5)])
    unknown = min([await seconds(None) for _ in range(5)])
    assert 0.5 < unknown / wrong < 2


async def test_the_loop_runs_on_while_a_password_is_hashed():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(credentials.hash_password("correct horse battery") for _ in range(4)))
    ticking.cancel()
    assert ticks >= 5


async def test_a_flood_of_logins_is_refused_beyond_a_bound_and_then_served_again():
    results = await asyncio.gather(
        *(credentials.verify_password("x" * 501, None) for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(result, Unavailable) for result in results) == 8
    assert not await credentials.verify_password("again", None)


@pytest.mark.parametrize(
    ("password", "code"),
    [("", "too_short"), ("nine char", "too_short"), ("ten chars!", None), ("x" * 500, None), ("x" * 501, "too_long")],
)
def test_the_length_of_a_new_password_is_checked(password, code):
    if code is None:
        credentials.check_password(password)
        return
    with pytest.raises(Invalid) as caught:
        credentials.check_password(password)
    assert (caught.value.code, caught.value.field) == (code, "password")


def test_keys_have_their_prefix_and_length_and_are_all_different():
    assert re.fullmatch(r"sa_[A-Za-z0-9]{32}", credentials.mint_public_key())
    assert re.fullmatch(r"sa_priv_[A-Za-z0-9]{40}", credentials.mint_private_key())
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", credentials.mint_token())
    assert len({credentials.mint_private_key() for _ in range(500)}) == 500


@pytest.mark.parametrize(
    ("token", "kind", "prefix"),
    [
        ("sa_priv_AbCdEfGh", "private", "sa_priv_AbCd"),
        ("sa_AbCdEfGh", "public", "sa_AbCd"),
    ],
)
def test_a_private_key_is_not_taken_for_a_public_one(token, kind, prefix):
    assert credentials.key_kind(token) == kind
    assert credentials.key_prefix(token) == prefix


@pytest.mark.parametrize("token", ["", "phc_abc", "SA_abc", "xsa_abc"])
def test_other_tokens_are_no_keys(token):
    assert credentials.key_kind(token) is None


def test_private_keys_are_masked_in_a_log_line_and_public_ones_are_not():
    line = "GET /x?key=sa_priv_AbCdEfGhIjKl&public=sa_MnOpQrSt"
    assert credentials.mask_private_keys(line) == "GET /x?key=sa_priv_AbCd…&public=sa_MnOpQrSt"


def test_secrets_compare_by_their_whole_text():
    assert credentials.same("tökén", "tökén")
    assert not credentials.same("token", "token ")
