"""Who visits: addresses, browsers, languages. A person is drawn from the seed alone, so it is the same on every day.

Addresses are public ones of access providers, so that the appliance finds a country for them by itself; like any
visitor's they are used and forgotten before anything is written.
"""

from functools import cache
from hashlib import blake2b
from importlib import resources
from random import Random
from typing import NamedTuple

from appliance.demo.world import Source, World, pick

_TABLET_SHARE = 0.08  # of mobile visits


class Network(NamedTuple):
    """Providers of one row of networks.tsv: languages of its browsers, first halves of IPv4 addresses."""

    languages: tuple[str, ...]
    prefixes: tuple[str, ...]


class Browser(NamedTuple):
    """A row of agents.tsv."""

    share: float
    screens: tuple[str, ...]
    agent: str


class Person(NamedTuple):
    """`source` is how they first came. `anonymous_id` and `user_id` are '' where the site keeps none."""

    address: str
    agent: str
    language: str
    screen: str
    source: Source
    anonymous_id: str
    user_id: str


def draw(world: World, seed: int, key: str, source: Source | None = None) -> Person:
    """The person of that key; with `source`, somebody who came that way instead of one drawn."""
    chance = Random(f"{seed} {world.slug} person {key}")
    drawn = chance.choices(world.sources, [one.weight for one in world.sources])[0]
    source = source or drawn
    network = networks()[pick(chance, world.countries)]
    kind = "desktop"
    if chance.random() < source.mobile:
        kind = "tablet" if chance.random() < _TABLET_SHARE else "mobile"
    browsers = agents()[kind]
    browser = chance.choices(browsers, [one.share for one in browsers])[0]
    name = blake2b(f"{seed} {world.slug} {key}".encode(), digest_size=8).hexdigest()
    return Person(
        address=f"{chance.choice(network.prefixes)}.{chance.randrange(256)}.{chance.randrange(1, 255)}",
        agent=browser.agent,
        language=chance.choice(network.languages),
        screen=chance.choice(browser.screens),
        source=source,
        anonymous_id=name if world.keeps_id else "",
        user_id=f"{world.slug}-{int(name[:6], 16) % 900_000 + 100_000}" if chance.random() < world.members else "",
    )


@cache
def networks() -> dict[str, Network]:
    """The rows of networks.tsv by name."""
    rows = (line.split("\t") for line in _lines("networks.tsv"))
    return {name: Network(tuple(languages.split(",")), tuple(prefixes.split())) for name, languages, prefixes in rows}


@cache
def agents() -> dict[str, list[Browser]]:
    """The rows of agents.tsv by kind of device: desktop, mobile, tablet."""
    kinds: dict[str, list[Browser]] = {}
    for share, kind, screens, agent in (line.split("\t") for line in _lines("agents.tsv")):
        kinds.setdefault(kind, []).append(Browser(float(share), tuple(screens.split(",")), agent))
    return kinds


def _lines(name: str) -> list[str]:
    text = resources.files("appliance.demo").joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
