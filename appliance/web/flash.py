"""A message for the next page: what the last action did. The cookie holds a code of a fixed list, so nobody
can make the appliance say something else by setting it."""

import re

from starlette.requests import Request

from appliance.web import urls
from appliance.web.access import is_secure
from appliance.web.cookies import set_cookie
from appliance.web.views import Toast

COOKIE = "flash"
_AGE_SECONDS = 60
_ID = re.compile(r"[0-9a-f-]{36}")

TEXTS = {
    "saved": "Saved.",
    "site_deleted": "Site deleted.",
    "site_restored": "The site is back.",
    "key_revoked": "Key revoked.",
    "key_rotated": "The site has a new public key. Replace it in your snippet.",
    "letters_retried": "They are being stored again.",
    "letters_deleted": "Deleted.",
    "goal_created": "Goal created. It counts what has happened before, too.",
    "goal_deleted": "Goal deleted.",
    "funnel_saved": "Funnel saved.",
    "funnel_deleted": "Funnel deleted.",
    "segment_saved": "Segment saved.",
    "segment_renamed": "Segment renamed.",
    "segment_deleted": "Segment deleted.",
    "import_waits": "File received. It is read now, and this page follows.",
    "import_known": "This file was imported already. Nothing was added.",
    "import_stopped": "Import stopped.",
    "import_forgotten": "Removed from the list.",
    "account_created": "Account created.",
    "access_confined": "No site is left to them. They are a member now, who sees only what is given.",
    "account_removed": "Account removed.",
    "password_changed": "Password changed. Other devices were signed out.",
    "session_ended": "Signed out on that device.",
    "signed_out": "You are signed out.",
    "signed_out_everywhere": "You are signed out everywhere.",
    "test_sent": "Test event sent.",
    "rule_created": "From now on this is left out.",
    "rule_taken_back": "Rule taken back. What it left out in the last 48 hours can be let in.",
    "let_in": "Let in: {n}. They show up where they belong in time.",
    "let_in_none": "There was nothing left to let in.",
}


def say(request: Request, code: str, subject: str = "") -> None:
    """Show a message of TEXTS on the next page. `subject` is the id of a project, for the message's undo, or a number
    that it names."""
    value = f"{code}.{subject}" if subject else code
    set_cookie(request, COOKIE, value, max_age_seconds=_AGE_SECONDS, secure=is_secure(request))


def take(request: Request) -> Toast | None:
    """The message that waits, if any; it is shown once."""
    value = request.cookies.get(COOKIE)
    if value is None:
        return None
    set_cookie(request, COOKIE, "", max_age_seconds=0, secure=is_secure(request))
    code, _, subject = value.partition(".")
    if code not in TEXTS:
        return None
    undo = urls.site_restore(subject) if code == "site_deleted" and _ID.fullmatch(subject) else None
    number = int(subject) if subject.isascii() and subject.isdigit() and len(subject) < 10 else 0
    return Toast(text=TEXTS[code].format(n=f"{number:,}"), undo_action=undo)
