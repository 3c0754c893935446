"""Signing in: whose an e-mail address and a password are; tried only so often, with the same work when they are not.
And registering, where the settings let anybody make an account of their own.
"""

from typing import Literal

from starlette.requests import Request

from appliance import clock
from appliance.errors import Forbidden, Unavailable
from appliance.model import Account
from appliance.storage import accounts, audit
from appliance.web.access import address_of, coarse_address_of, state_of


class TooManyAttempts(Unavailable):
    """Nothing was tried: there were too many attempts before."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, wait_seconds: int) -> None:
        unit = "second" if wait_seconds == 1 else "seconds"
        super().__init__(f"Too many attempts. Try again in {wait_seconds} {unit}.")
        self.retry_after_seconds = wait_seconds


async def authenticated(request: Request, email: str, password: str) -> Account | None:
    """The account that they belong to, None where they do not. Raises TooManyAttempts."""
    state, name = state_of(request), _lookup_form(email)
    await _count_attempt(request, "login", name, name)
    account = await accounts.authenticate(state.db, name, password)
    if account is not None:
        state.login_throttle.succeeded(name, address_of(request))
    return account


async def note_login(request: Request, account: Account) -> None:
    """Put a login into the audit log."""
    db = state_of(request).db
    await audit.record(db, clock.now(), account.email, "login", detail=coarse_address_of(request))


async def require_registration(request: Request) -> None:
    """Raises Forbidden where nobody may register: `registration_closed`, or `set_up_first` while the account that owns
    the appliance is still to be made."""
    state = state_of(request)
    if not state.settings.open_registration:
        raise Forbidden("Accounts are made by who runs this appliance.", code="registration_closed")
    if not await accounts.any_exist(state.db):
        raise Forbidden("The first account is made by who runs this appliance.", code="set_up_first")


async def registered(request: Request, *, email: str, password: str, name: str) -> Account:
    """A new member. An address that has an account costs the same work as one that has none.

    Raises Forbidden as `require_registration` does, TooManyAttempts, Invalid (fields `email`, `password`, `name`).
    """
    await require_registration(request)
    # One count for all addresses that are tried, and none is taken back: who may try is to learn of few accounts.
    await _count_attempt(request, "register", "register", _lookup_form(email))
    db = state_of(request).db
    return await accounts.create(
        db, email=email, password=password, name=name, role="member", actor="register", at=clock.now()
    )


async def _count_attempt(request: Request, what: Literal["login", "register"], counted: str, email: str) -> None:
    """Count an attempt from the request's address. Raises TooManyAttempts."""
    state, now, address = state_of(request), clock.now(), address_of(request)
    if wait_seconds := state.login_throttle.attempt(counted, address, now):
        # One audit row a day for each address that guesses.
        if state.key_reports.first(f"{what} {address}", now):
            await audit.record(state.db, now, what, f"{what}.throttled", email, coarse_address_of(request))
        raise TooManyAttempts(wait_seconds)


def _lookup_form(email: str) -> str:
    """An address as it is counted and looked up, whatever was sent for one; PostgreSQL has no NUL in text."""
    return email.replace("\0", "").strip().lower()[: accounts.EMAIL_CHARACTERS_MAX]
