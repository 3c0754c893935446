"""Signing in: whose an e-mail address and a password are; tried only so often, with the same work when they are not."""

from starlette.requests import Request

from appliance import clock
from appliance.errors import Unavailable
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
    state, now = state_of(request), clock.now()
    name, address = email.strip().lower()[: accounts.EMAIL_CHARACTERS_MAX], address_of(request)
    if wait_seconds := state.login_throttle.attempt(name, address, now):
        # One audit row a day for each address that guesses.
        if state.key_reports.first(f"login {address}", now):
            await audit.record(state.db, now, "login", "login.throttled", name, coarse_address_of(request))
        raise TooManyAttempts(wait_seconds)
    account = await accounts.authenticate(state.db, name, password)
    if account is not None:
        state.login_throttle.succeeded(name, address)
    return account


async def note_login(request: Request, account: Account) -> None:
    """Put a login into the audit log."""
    db = state_of(request).db
    await audit.record(db, clock.now(), account.email, "login", detail=coarse_address_of(request))
