"""Passwords and keys: made, hashed, compared. What is secret is stored only as a hash.

Passwords: argon2id with the second parameter set that OWASP's password storage sheet recommends (19 MiB, 2
passes, 1 lane), some 20 ms of CPU. Keys and tokens are random, so a plain SHA-256 of them is enough.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import string
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Literal, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.errors import Invalid, Unavailable

T = TypeVar("T")

PASSWORD_CHARACTERS_MIN = 10
PASSWORD_CHARACTERS_MAX = 500
PUBLIC_PREFIX = "sa_"
PRIVATE_PREFIX = "sa_priv_"
PUBLIC_RANDOM_CHARACTERS = 32
PRIVATE_RANDOM_CHARACTERS = 40
SHOWN_RANDOM_CHARACTERS = 4

_BASE62 = string.ascii_letters + string.digits
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_HASHING_THREADS = 2  # each holds 19 MiB while it works
_WAITING_MAX = 32  # some 0.3 s of waiting; a flood of logins is refused beyond
_PRIVATE_KEY = re.compile(r"sa_priv_[A-Za-z0-9]+")


# ---------------------------------------------------------------- passwords


def check_password(password: str) -> None:
    """Raise Invalid (field `password`) where a new password is too short or too long."""
    if len(password) < PASSWORD_CHARACTERS_MIN:
        raise Invalid(
            f"Use at least {PASSWORD_CHARACTERS_MIN} characters; this has {len(password)}.",
            code="too_short",
            field="password",
        )
    if len(password) > PASSWORD_CHARACTERS_MAX:
        raise Invalid(
            f"Use at most {PASSWORD_CHARACTERS_MAX} characters.",
            code="too_long",
            field="password",
        )


async def hash_password(password: str) -> str:
    """The argon2id hash of a password in PHC string form. Raises Unavailable when too many wait."""
    return await _in_thread(lambda: _HASHER.hash(_normal(password)))


async def verify_password(password: str, stored: str | None) -> bool:
    """Whether the password has this hash. Without one (an unknown account) it works as long and says no."""
    return await _in_thread(lambda: _verify(password, stored))


def needs_rehash(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def _verify(password: str, stored: str | None) -> bool:
    if len(password) > PASSWORD_CHARACTERS_MAX:
        password, stored = "", None
    if stored is None:
        _HASHER.hash(_normal(password))
        return False
    try:
        return _HASHER.verify(stored, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> bytes:
    """NFKC, so that the same characters typed on another system are the same password (NIST SP 800-63B,
    5.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="argon2")


_waiting = 0


async def _in_thread(work: Callable[[], T]) -> T:
    global _waiting
    if _waiting >= _WAITING_MAX:
        raise Unavailable("Too many people are logging in at this moment; try again in a few seconds.")
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads(), work)
    finally:
        _waiting -= 1


# ---------------------------------------------------------------- keys and tokens


def mint_public_key() -> str:
    """A new public key: `sa_` and 32 characters of base62 (190 bits)."""
    return PUBLIC_PREFIX + _random(PUBLIC_RANDOM_CHARACTERS)


def mint_private_key() -> str:
    """A new private key: `sa_priv_` and 40 characters of base62 (238 bits)."""
    return PRIVATE_PREFIX + _random(PRIVATE_RANDOM_CHARACTERS)


def mint_token() -> str:
    """A new opaque token of 256 bits, safe in a URL and a cookie: 43 characters."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """The 32 bytes of SHA-256 under which a private key or a token is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def same(given: str, expected: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(digest(given), digest(expected))


def key_kind(token: str) -> Literal["private", "public"] | None:
    """What a token claims to be by its prefix; `sa_priv_` is tested before `sa_`, which it begins with too."""
    if token.startswith(PRIVATE_PREFIX):
        return "private"
    if token.startswith(PUBLIC_PREFIX):
        return "public"
    return None


def key_prefix(token: str) -> str:
    """The first characters of a key, enough to recognise it by: `sa_priv_k3Tz`."""
    start = PRIVATE_PREFIX if key_kind(token) == "private" else PUBLIC_PREFIX
    return token[: len(start) + SHOWN_RANDOM_CHARACTERS]


def mask_private_keys(text: str) -> str:
    """The same text, fit for a log: what looks like a private key is cut to its recognisable prefix."""
    return _PRIVATE_KEY.sub(lambda found: key_prefix(found[0]) + "…", text)


def _random(characters: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(characters))
