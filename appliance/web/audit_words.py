"""What the audit log says of each action, as a sentence that its subject ends."""

from appliance.storage.audit import Entry

# {detail} is what was written with the row; what happened is said so that the subject can follow.
SENTENCES = {
    "project.create": "Created the site",
    "project.update": "Changed {detail} of the site",
    "project.delete": "Deleted the site",
    "project.restore": "Brought back the site",
    "user.erase": "Erased a user of the site",
    "visitor.erase": "Erased a visitor of the site",
    "key.create": "Created a key ({detail})",
    "key.revoke": "Revoked the key",
    "key.rotate": "Replaced the public key by",
    "key.replace": "Replaced the key {detail} by",
    "key.use": "Sent {detail} to the site",
    "key.exposed.url": "Was sent in a URL and has to be replaced: a private key of",
    "key.exposed.browser": "Was sent by a browser and has to be replaced: a private key of",
    "dead_letter.retry": "Had dead letters stored again: {detail}",
    "dead_letter.delete": "Deleted dead letters: {detail}",
    "goal.create": "Created a goal ({detail})",
    "goal.delete": "Deleted the goal",
    "funnel.create": "Saved a funnel ({detail})",
    "funnel.delete": "Deleted the funnel",
    "segment.create": "Saved a segment ({detail})",
    "segment.rename": "Renamed the segment {detail} to",
    "segment.delete": "Deleted the segment",
    "source.update": "Changed the source",
    "import.create": "Began an import ({detail}):",
    "import.stop": "Stopped the import of",
    "import.forget": "Removed from the list of imports",
    "quota": "Reached {detail} of the site",
    "limit.rate_limited.site": "Refused requests ({detail}) above the rate limit of the site",
    "limit.rate_limited.address": "Refused requests ({detail}) above the rate limit of their address",
    "limit.quota.site": "Refused requests and events ({detail}) above the monthly quota of the site",
    "exclusion.create": "Added a filter ({detail}) to the site",
    "exclusion.remove": "Took back a filter ({detail}) of the site",
    "exclusion.let_in": "Let in events ({detail}) of the site",
    "account.create": "Created an account ({detail})",
    "account.role": "Changed the role ({detail}) of",
    "access.give": "Gave access to {detail}:",
    "access.take": "Took access to {detail} from",
    "access.all": "Gave access to {detail}:",
    "account.password": "Set the password of",
    "account.remove": "Removed the account ({detail})",
    "login": "Signed in",
    "login.throttled": "Tried passwords again and again, for",
    "register.throttled": "Tried to register again and again, then",
    "logout.everywhere": "Signed out everywhere",
}

# Actions whose detail begins with the id of what is counted, which tells sites of one name apart.
COUNTED = ("quota", "limit.rate_limited.site", "limit.rate_limited.address", "limit.quota.site")
# Actions whose detail is where they came from, as a /24 or /48.
FROM_NETWORK = ("login", "login.throttled", "register.throttled", "key.exposed.url", "key.exposed.browser")


def sentence(entry: Entry) -> tuple[str, str, str]:
    """What happened, to what, and from which network ('' where it is not kept)."""
    network = entry.detail if entry.action in FROM_NETWORK else ""
    pattern = SENTENCES.get(entry.action)
    if pattern is None:
        return f"{entry.action} {entry.detail}".strip(), entry.subject, network
    subject = "" if entry.action == "login" else entry.subject
    detail = entry.detail
    if entry.action in COUNTED:
        detail = detail.partition(" ")[2]
        detail = f"{int(detail):,}" if detail.isdigit() else detail
    return pattern.format(detail=detail), subject, network
