"""GoatCounter's CSV export, version 2. Its sessions become visitors; hits that it took for a robot's are left out."""

from typing import Final
from urllib.parse import quote

from appliance.ingest.imports.format import Context, Format, Head, Reader, cells
from appliance.ingest.pipeline import Dropped, Rejected
from appliance.ingest.sent import Sent, SentCampaign

_VERSION: Final = "2"
_PATH: Final = f"{_VERSION}Path"
_TRUE: Final = frozenset(("true", "1"))


def _recognises(head: Head) -> bool:
    return bool(head.columns) and head.columns[0].endswith("Path") and "FirstVisit" in head.columns


def _reader(head: Head, context: Context) -> Reader:
    if head.columns[0] != _PATH:
        raise Rejected("unknown_version", "", "of GoatCounter's exports version 2 is understood")
    by_name, own = cells(head), context.host

    def read(row: list[str]) -> Sent | None:
        if row == head.columns:
            return None
        found = by_name(row)
        if found.get("Bot", "0") not in ("0", "false"):
            raise Dropped("bot")
        if "Date" not in found:
            raise Rejected("missing", "Date", "Date: it is missing")
        path = found.get(_PATH, "")
        is_event = found.get("Event", "").lower() in _TRUE
        referrer, scheme = found.get("Referrer", ""), found.get("Referrer scheme", "")
        country, _, _ = found.get("Location", "").partition("-")
        screen = found.get("Screen size", "").split(",")
        browser, _, browser_version = found.get("Browser", "").partition(" ")
        system, _, system_version = found.get("System", "").partition(" ")
        url = f"//{own}/" if is_event else f"//{own}/{path.lstrip('/')}"
        if scheme == "g" and referrer:  # a name that it made of addresses
            url += f"{'&' if '?' in url else '?'}ref={quote(referrer, safe='')}"
        return Sent(
            event=path if is_event else "pageview",
            kind="custom" if is_event else "pageview",
            timestamp=found["Date"],
            anonymous_id=found.get("Session"),
            url=url,
            title=found.get("Title"),
            referrer=_url(referrer) if scheme in ("", "h", "o") else None,
            campaign=SentCampaign(name=referrer) if scheme == "c" and referrer else None,
            user_agent=found.get("UserAgent"),
            browser=browser,
            browser_version=browser_version,
            os=system,
            os_version=system_version,
            screen="x".join(screen[:2]) if len(screen) > 1 else None,
            country=country,
            region=found.get("Location") if "-" in found.get("Location", "") else None,
        )

    return read


def _url(referrer: str) -> str:
    """A referrer, which stands there without its scheme."""
    return referrer if not referrer or "://" in referrer else f"https://{referrer}"


FORMAT: Final = Format("goatcounter", "GoatCounter's CSV export", "csv", _recognises, _reader)
