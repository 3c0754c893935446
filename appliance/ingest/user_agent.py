"""User agent -> browser, operating system, kind of device, and whether it is a bot.

A browser is told by the products in its agent (`data/browsers.tsv`, in order of precedence), a system and a kind of
device by single words, a bot by `data/bots.txt`. Looking words up in tables takes next to no memory, where the regular
expressions that are usual for this take 14 to 34 MB.

What an agent cannot say: Windows 11 calls itself 10; macOS since 11 calls itself 10.15; Chrome on Android calls itself
Android 10; an iPad that asks for desktop pages calls itself a Mac and is counted as one; Brave, Tor, Arc and Zen call
themselves the browser they are made of.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import re2

AGENT_CHARACTERS_MAX = 512
AGENTS_CACHED_MAX = 10_000
VERSION_CHARACTERS_MAX = 16
# RE2 keeps the states of its automaton that agents have led it to; at this limit it starts afresh.
BOTS_MEMORY_BYTES_MAX = 3 << 20

_DATA = Path(__file__).with_name("data")


class Agent(NamedTuple):
    """Empty strings where the agent does not say. `device` is Desktop, Mobile, Tablet, TV, Console, Wearable,
    Headset, Car or empty. A bot has the browser, system and device that it claims."""

    browser: str
    browser_version: str
    os: str
    os_version: str
    device: str
    bot: bool


def read_agent(user_agent: str) -> Agent:
    """The agent named by a User-Agent header, of which the first 512 characters count. Never raises.

    The latest 10,000 agents are cached. The first call reads the tables (some 5 ms).
    """
    return _read(user_agent[:AGENT_CHARACTERS_MAX])


@lru_cache(AGENTS_CACHED_MAX)
def _read(user_agent: str) -> Agent:
    words = _Words(user_agent)
    os, os_version = _system(words)
    browser, browser_version = _browser(words, os, os_version)
    return Agent(browser, browser_version, os, os_version, _device(words, os), is_bot(user_agent))


class _Words:
    """An agent as its words in lower case; a version behind a slash is a word that begins with ^."""

    def __init__(self, user_agent: str) -> None:
        text = _SLASH_VERSION.sub(" ^", user_agent.lower())
        for two_words, one_word in _JOINED:
            text = text.replace(two_words, one_word)
        self.all = text.translate(_SEPARATORS).split()
        self.set = set(self.all)

    def _behind(self, word: str) -> Iterator[str]:
        place = -1
        for _ in range(self.all.count(word)):
            place = self.all.index(word, place + 1)
            yield self.all[place + 1] if place + 1 < len(self.all) else ""

    def version(self, word: str) -> str:
        """The first version behind the word, after a slash or a space: "126.0.0.0". '' without one."""
        for behind in self._behind(word):
            version = behind.lstrip("^v")
            if "0" <= version[:1] <= "9":
                return version[:VERSION_CHARACTERS_MAX].replace("_", ".")
        return ""

    def is_product(self, word: str) -> bool:
        """Whether a slash and a version stand behind the word."""
        return any(behind[:1] == "^" for behind in self._behind(word))


_SLASH_VERSION = re.compile(r"/(?=v?[0-9])")
_SEPARATORS = str.maketrans(dict.fromkeys("/()[]{}<>;,:|=\"'!?&*#~+", " "))
_JOINED = (
    ("__", " "),
    ("_ly_", "_ly "),
    ("opera mini", "operamini"),
    ("opera tv", "operatv"),
    ("uc browser", "ucbrowser"),
    ("mint browser", "mintbrowser"),
    ("tv bro ", "tvbro "),
)


# Bots

# Ours beside isbot's: monitors and fetchers that otherwise look like a browser.
_OUR_BOTS = (
    r"gtmetrix",
    r"miniature\.io",
    r"ylt chrome",
    r"assetnote",
    r"360jk",
    r"amzn-user",
    r"laravel reaver",
)
# What isbot takes for a bot and is none: the tools process of WeChat on Android, the Sogou browser, televisions of
# Hisense and of Google, and names of telephones (Discovery, Radar, Newsday, M bot), which stand behind "Android 9;".
_INNOCENT = (
    r"Process/tools\w*|SogouMSE|SogouMobileBrowser|\.Catcher[\d.]+|Google ?TV"
    r"|Android [\d.]+; (?:[a-z]{2}[-_][a-z]{2}; )?[^;()/:@]*"
)


def is_bot(user_agent: str) -> bool:
    """Whether the agent is that of a crawler, monitor, tool or library. An empty agent is none."""
    bots, innocent = _bot_patterns()
    raw = user_agent.encode("utf-8", "replace")
    if bots.search(raw) is None:
        return False
    rest = innocent.sub(b" ", raw)
    return rest == raw or bots.search(rest) is not None


@cache
def _bot_patterns() -> tuple[Any, Any]:
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    options.max_mem = BOTS_MEMORY_BYTES_MAX
    lines = (_DATA / "bots.txt").read_text("utf-8").splitlines()
    patterns = [line for line in lines if not line.startswith("# ")]
    return re2.compile("|".join((*patterns, *_OUR_BOTS)), options), re2.compile(_INNOCENT, options)


# Browsers


@cache
def _browsers() -> dict[str, tuple[int, str, bool]]:
    """Product in lower case -> precedence (least first), name of the browser, whether it needs a version."""
    table: dict[str, tuple[int, str, bool]] = {}
    for rank, line in enumerate((_DATA / "browsers.tsv").read_text("utf-8").splitlines()):
        if not line.startswith("#"):
            product, name = line.split("\t")
            table[product.rstrip("/").lower()] = rank, name, product.endswith("/")
    return table


def _browser(words: _Words, os: str, os_version: str) -> tuple[str, str]:
    table = _browsers()
    for product in sorted(words.set & table.keys(), key=table.__getitem__):
        _, name, needs_version = table[product]
        if not needs_version or words.is_product(product):
            return _named(name, product, words, os, os_version)
    if os in _POCKET_APPLE and "applewebkit" in words.set:
        return "Safari (in-app)", os_version
    return "", ""


def _named(name: str, product: str, words: _Words, os: str, os_version: str) -> tuple[str, str]:
    """A browser's name and version, given the product that told it."""
    match product:
        case "safari":
            return _safari(words, os, os_version)
        case "chrome" if os == "Android" and ("wv" in words.set or words.version("version") == "4.0"):
            name = "Android WebView"
        case "trident":
            # Trident 4 came with version 8, and so on; the version claimed may be that of a compatibility mode.
            return name, str(int(_number(words.version("trident"))) + 4)
        case "msie" | "iemobile":
            product = "iemobile" if words.version("iemobile") else "msie"
        case "opera" if words.version("version"):
            product = "version"
        case "playstation":
            return name, ""
    major = words.version(product).partition(".")[0]
    # A longer number is a build, not a version: "KAKAOTALK 2410810".
    return name, major if len(major) <= 4 else ""


def _safari(words: _Words, os: str, os_version: str) -> tuple[str, str]:
    version = _two_parts(words.version("version"))
    if os in _POCKET_APPLE:
        return ("Safari", version) if version else ("Safari (in-app)", os_version)
    if os in ("macOS", "Windows", "tvOS"):
        return "Safari", version
    return _SYSTEM_BROWSERS.get(os, ""), version


_POCKET_APPLE = frozenset(("iOS", "iPadOS"))
_SYSTEM_BROWSERS = {
    "Android": "Android Browser",
    "webOS": "LG Browser",
    "Tizen": "Samsung Internet",
    "BlackBerry OS": "BlackBerry Browser",
    "Symbian": "Nokia Browser",
}


# Systems

_WINDOWS_NT = {
    "10.0": "10",
    "6.4": "10",
    "6.3": "8.1",
    "6.2": "8",
    "6.1": "7",
    "6.0": "Vista",
    "5.2": "XP",
    "5.1": "XP",
    "5.0": "2000",
}
# The word that tells a system; one that pretends to be another stands before it.
_SYSTEMS = {
    "windows": "Windows",
    "iphone": "iOS",
    "ipad": "iOS",
    "ipod": "iOS",
    "ios": "iOS",
    "appletv": "tvOS",
    "tvos": "tvOS",
    "watchos": "watchOS",
    "macintosh": "macOS",
    "mac": "macOS",
    "mac_powerpc": "macOS",
    "darwin": "macOS",
    "kaios": "KaiOS",
    "openharmony": "HarmonyOS",
    "harmonyos": "HarmonyOS",
    "tizen": "Tizen",
    "web0s": "webOS",
    "webos": "webOS",
    "hpwos": "webOS",
    "netcast": "webOS",
    "netcast.tv-2013": "webOS",
    "sailfish": "Sailfish OS",
    "playstation": "PlayStation",
    "nintendo": "Nintendo",
    "roku": "Roku OS",
    "vidaa": "VIDAA",
    "bb10": "BlackBerry OS",
    "blackberry": "BlackBerry OS",
    "playbook": "BlackBerry OS",
    "symbianos": "Symbian",
    "symbian": "Symbian",
    "series60": "Symbian",
    "bada": "Bada",
    "android": "Android",
    "andr0id": "Android",
    "adr": "Android",
    "cros": "ChromeOS",
    "freebsd": "FreeBSD",
    "openbsd": "OpenBSD",
    "netbsd": "NetBSD",
    "sunos": "Solaris",
    "haiku": "Haiku",
    "linux": "Linux",
    "ubuntu": "Linux",
    "x11": "Linux",
}
_SYSTEM_RANKS = {word: rank for rank, word in enumerate(_SYSTEMS)}
_VERSIONED = frozenset(("KaiOS", "HarmonyOS", "Tizen", "PlayStation", "Android", "tvOS", "watchOS"))


def _system(words: _Words) -> tuple[str, str]:
    told = words.set & _SYSTEM_RANKS.keys()
    if not told:
        return "", ""
    word = min(told, key=_SYSTEM_RANKS.__getitem__)
    name = _SYSTEMS[word]
    if name == "Windows":
        return _windows(words)
    if name in ("iOS", "macOS"):
        return _apple(words, word)
    version = _two_parts(words.version(word)).removesuffix(".0") if name in _VERSIONED else ""
    return name, version


def _windows(words: _Words) -> tuple[str, str]:
    if "phone" in words.set:
        version = words.version("phone") or words.version("os")
        return "Windows Phone", _two_parts(version).removesuffix(".0")
    if "xbox" in words.set:
        return "Xbox", ""
    if "ce" in words.set or "iemobile" in words.set:
        return "Windows Mobile", ""
    return "Windows", _WINDOWS_NT.get(words.version("nt"), words.version("windows"))


def _apple(words: _Words, word: str) -> tuple[str, str]:
    if word == "darwin":
        # An app's own agent: "App/1 CFNetwork/1410 Darwin/22.6". Only Macs name a processor.
        return ("iOS", "") if words.set.isdisjoint(("x86_64", "i386")) else ("macOS", "")
    version = _two_parts(words.version("x" if _SYSTEMS[word] == "macOS" else "os") or words.version("ios"))
    if _SYSTEMS[word] == "macOS":
        return "macOS", version
    safari = _two_parts(words.version("version"))
    if _number(safari) >= 26 > _number(version):
        # Since 26 agents say OS 18 whatever the system; Safari and the system have the same number.
        version = safari
    return "iPadOS" if word == "ipad" and _number(version) >= 13 else "iOS", version


# Devices

# The word that tells a kind of device; in order, since a console may call itself a television.
_KINDS = {
    "playstation": "Console",
    "nintendo": "Console",
    "xbox": "Console",
    "smarttv": "TV",
    "smart-tv": "TV",
    "smarttva": "TV",
    "smarthub": "TV",
    "hbbtv": "TV",
    "netcast": "TV",
    "netcast.tv-2013": "TV",
    "web0s": "TV",
    "googletv": "TV",
    "appletv": "TV",
    "tvos": "TV",
    "crkey": "TV",
    "bravia": "TV",
    "roku": "TV",
    "viera": "TV",
    "vidaa": "TV",
    "tv": "TV",
    "operatv": "TV",
    "tvbro": "TV",
    "philipstv": "TV",
    "nettv": "TV",
    "inettvbrowser": "TV",
    "ce-html": "TV",
    "watchos": "Wearable",
    "oculusbrowser": "Headset",
    "wolvic": "Headset",
    "qtcarbrowser": "Car",
    "tesla": "Car",
}
_KIND_RANKS = {word: rank for rank, word in enumerate(_KINDS)}
# Beginnings of model names: Amazon's and Xiaomi's televisions, Samsung's watches.
_TELEVISION_MODELS = ("aft", "mitv", "mibox", "bravia")
_WATCH_MODELS = ("sm-r",)
_TABLET_MODELS = ("sm-t", "sm-x", "kfa", "kft", "kfm", "kfs", "kfd", "kfo", "kfj", "kfg", "kfr", "kfk", "kfp")
_TABLETS = frozenset(("ipad", "tablet", "tab", "playbook", "kindle", "touchpad"))
_TELEPHONES = frozenset(
    ("mobile", "mobi", "phone", "iphone", "ipod", "operamini", "midp-1.0", "midp-2.0", "midp-2.1", "midp2.0")
)
_DESKTOPS = frozenset(("Windows", "macOS", "Linux", "ChromeOS", "FreeBSD", "OpenBSD", "NetBSD", "Solaris", "Haiku"))
_HANDHELDS = frozenset(("iOS", "KaiOS", "Symbian", "BlackBerry OS", "Bada", "Windows Phone", "Windows Mobile"))


def _device(words: _Words, os: str) -> str:
    told = words.set & _KIND_RANKS.keys()
    if told:
        return _KINDS[min(told, key=_KIND_RANKS.__getitem__)]
    if os in ("Windows", "macOS"):
        return "Desktop"
    if os in ("Android", "HarmonyOS", "Tizen"):
        return _android_device(words)
    if not words.set.isdisjoint(_TABLETS):
        return "Tablet"
    if os in _HANDHELDS or not words.set.isdisjoint(_TELEPHONES):
        return "Mobile"
    return "Desktop" if os in _DESKTOPS else ""


def _android_device(words: _Words) -> str:
    """By Google's rule a browser on a telephone says Mobile and one on a tablet does not; apps follow no rule."""
    for word in words.all:
        if word.startswith(_TELEVISION_MODELS):
            return "TV"
        if word.startswith(_WATCH_MODELS):
            return "Wearable"
        if word.startswith(_TABLET_MODELS):
            return "Tablet"
    if not words.set.isdisjoint(_TABLETS):
        return "Tablet"
    return "Mobile" if "mozilla" not in words.set or not words.set.isdisjoint(_TELEPHONES) else "Tablet"


def _two_parts(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _number(version: str) -> float:
    major = version.partition(".")[0]
    return float(major) if major.isascii() and major.isdigit() else 0.0
