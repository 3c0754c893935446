"""What PostHog's libraries ask beside sending events: feature flags, their configuration, their script, recording.

The answers say that there is nothing of it here, in the form in which the libraries take that for an answer, so that a
page works as it is and sends its events (`posthog`). Recordings are not kept.
"""

import json
from typing import Any

from appliance.errors import ApplianceError, NotFound
from appliance.ingest.answers import JSON, Answer, problem
from appliance.ingest.arrival import Arrival
from appliance.ingest.outcome import Outcome
from appliance.ingest.sent import Decoded

_SCRIPTS = tuple(
    f"/static/array{variant}.js" for variant in ("", ".full", ".full.es5", ".no-external", ".full.no-external")
)
PATHS = ("/flags", "/decide", "/s", *_SCRIPTS)
PREFIXES = ("/array/",)  # /array/{token}/config, config.js and array.js
METHODS = ("GET", "POST")
BODY_BYTES_MAX = 20 << 20  # of recordings, which are read and dropped

# What is off is not asked for. Clicks are the site's own choice, made where it configures posthog-js.
_CONFIGURATION: dict[str, Any] = {
    "supportedCompression": ["gzip", "gzip-js", "base64"],
    "hasFeatureFlags": False,
    "autocapture_opt_out": False,
    "elementsChainAsString": True,
    "defaultIdentifiedOnly": True,
    "sessionRecording": False,
    "heatmaps": False,
    "surveys": False,
    "captureDeadClicks": False,
    "capturePerformance": False,
    "autocaptureExceptions": False,
    "siteApps": [],
    "toolbarParams": {},
    "isAuthenticated": False,
}
_FLAGS = {
    **_CONFIGURATION,
    "flags": {},
    "featureFlags": {},
    "featureFlagPayloads": {},
    "errorsWhileComputingFlags": False,
}
_JAVASCRIPT = (b"content-type", b"text/javascript; charset=utf-8")
_SCRIPT = b"""console.warn("This server takes the events of PostHog's libraries and does not serve posthog-js. \
Bundle the npm package posthog-js, or load its array.js from a place of yours, with api_host set to this server.");
"""


def decode(arrival: Arrival) -> Decoded | Answer:
    """The answer. Raises NotFound for a path that means nothing."""
    path = arrival.path.rstrip("/")
    if path in _SCRIPTS:
        return Answer(200, _SCRIPT, [_JAVASCRIPT])
    if path == "/s":
        return _answer({"status": 1})
    if path in ("/flags", "/decide"):
        return _answer(_FLAGS)
    match path.split("/"):
        case ["", "array", token, "config"]:
            return _answer({"token": token, **_CONFIGURATION})
        case ["", "array", token, "config.js"]:
            return _configuration_script(token)
        case ["", "array", _, "array.js"]:
            return Answer(200, _SCRIPT, [_JAVASCRIPT])
    raise NotFound(f"there is no {path}")


def encode(outcome: Outcome, decoded: Decoded) -> Answer:
    """Never asked: no request here brings events."""
    raise AssertionError(decoded)


def refuse(error: ApplianceError, arrival: Arrival) -> Answer:
    """A problem document."""
    return problem(error)


def _answer(body: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(body).encode(), [JSON])


def _configuration_script(token: str) -> Answer:
    # ASCII JSON is JavaScript too; what the path says stays inside its quotes.
    entry = json.dumps({token: {"config": {"token": token, **_CONFIGURATION}, "siteApps": []}})
    script = f"window._POSTHOG_REMOTE_CONFIG=Object.assign(window._POSTHOG_REMOTE_CONFIG||{{}},{entry});\n"
    return Answer(200, script.encode(), [_JAVASCRIPT])
