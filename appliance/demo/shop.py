"""A shop for outdoor equipment in Germany: evenings and Sundays, telephones, a newsletter, purchases in EUR."""

from collections.abc import Iterator

from appliance.demo.world import LEAVE, Act, Page, PageKind, Source, Spike, Visiting, WantedGoal, World, weights

_SALE = "utm_source=newsletter&utm_medium=email&utm_campaign="

_KINDS = {
    "home": PageKind(
        (Page("/", "Fjord & Field: made for weather"),),
        {"collection": 46, "product": 18, "search": 9, "article": 7, "info": 4, LEAVE: 16},
        22,
        45,
    ),
    "collection": PageKind(
        (
            Page("/collections/tents", "Tents | Fjord & Field", 9),
            Page("/collections/sleeping-bags", "Sleeping bags | Fjord & Field", 6),
            Page("/collections/packs", "Packs | Fjord & Field", 8),
            Page("/collections/rainwear", "Rainwear | Fjord & Field", 10),
            Page("/collections/stoves", "Stoves and cooking | Fjord & Field", 4),
            Page("/collections/sale", "Sale | Fjord & Field", 7),
        ),
        {"product": 66, "collection": 12, "search": 4, "home": 2, LEAVE: 16},
        34,
        62,
    ),
    "product": PageKind(
        (
            Page("/products/skarv-rain-jacket", "Skarv rain jacket | Fjord & Field", 16, 219),
            Page("/products/ridge-2-tent", "Ridge 2 tent | Fjord & Field", 13, 389),
            Page("/products/fell-45-pack", "Fell 45 pack | Fjord & Field", 11, 179),
            Page("/products/moss-sleeping-bag", "Moss sleeping bag | Fjord & Field", 9, 249),
            Page("/products/lund-merino-shirt", "Lund merino shirt | Fjord & Field", 9, 79),
            Page("/products/ember-gas-stove", "Ember gas stove | Fjord & Field", 8, 64.9),
            Page("/products/tarn-sleeping-mat", "Tarn sleeping mat | Fjord & Field", 7, 119),
            Page("/products/brae-trousers", "Brae trousers | Fjord & Field", 7, 129),
            Page("/products/cairn-boots", "Cairn boots | Fjord & Field", 6, 199),
            Page("/products/holm-rain-trousers", "Holm rain trousers | Fjord & Field", 5, 139),
            Page("/products/ridge-3-tent", "Ridge 3 tent | Fjord & Field", 4, 479),
            Page("/products/fell-28-pack", "Fell 28 pack | Fjord & Field", 4, 129),
            Page("/products/vik-wool-hat", "Vik wool hat | Fjord & Field", 4, 34.9),
            Page("/products/ember-pot-set", "Ember pot set | Fjord & Field", 3, 54.9),
            Page("/products/beck-water-filter", "Beck water filter | Fjord & Field", 3, 49.9),
            Page("/products/gift-card", "Gift card | Fjord & Field", 2, 50),
        ),
        {"product": 31, "collection": 18, "cart": 20, "article": 3, "info": 4, "home": 2, LEAVE: 36},
        48,
        58,
    ),
    "article": PageKind(
        (
            Page("/journal/how-to-pack-light", "How to pack light | Journal", 9),
            Page("/journal/rain-jackets-explained", "Rain jackets, explained | Journal", 7),
            Page("/journal/five-huts-in-norway", "Five huts in Norway | Journal", 6),
            Page("/journal/repair-a-zip", "Repair a zip in ten minutes | Journal", 5),
            Page("/journal/winter-nights-in-a-tent", "Winter nights in a tent | Journal", 8),
        ),
        {"product": 15, "article": 14, "collection": 10, "home": 3, LEAVE: 58},
        95,
        71,
    ),
    "info": PageKind(
        (
            Page("/pages/delivery", "Delivery and returns | Fjord & Field", 7),
            Page("/pages/sizes", "Find your size | Fjord & Field", 6),
            Page("/pages/repairs", "Repairs | Fjord & Field", 3),
            Page("/pages/stores", "Our stores | Fjord & Field", 4),
        ),
        {"product": 34, "cart": 16, "collection": 12, "home": 4, LEAVE: 42},
        31,
        66,
    ),
    "search": PageKind(
        (Page("/search", "Search | Fjord & Field"),), {"product": 68, "search": 12, "collection": 4, LEAVE: 16}, 16, 48
    ),
    "cart": PageKind(
        (Page("/cart", "Your cart | Fjord & Field"),),
        {"checkout": 44, "product": 17, "collection": 6, "info": 5, LEAVE: 25},
        28,
        74,
    ),
    "checkout": PageKind(
        (Page("/checkout", "Checkout | Fjord & Field"),), {"thanks": 63, "cart": 7, "info": 3, LEAVE: 27}, 110, 82
    ),
    "thanks": PageKind(
        (Page("/checkout/thank-you", "Thank you | Fjord & Field"),), {"account": 12, "home": 6, LEAVE: 82}, 24, 60
    ),
    "account": PageKind(
        (Page("/account", "Your account | Fjord & Field"),),
        {"product": 26, "collection": 22, "home": 6, LEAVE: 46},
        30,
        50,
    ),
    "missing": PageKind(
        (Page("/products/ridge-1-tent", "Not found | Fjord & Field"),), {"home": 20, "collection": 15, LEAVE: 65}, 8, 20
    ),
}

_WIDE = {"home": 30, "collection": 32, "product": 34, "article": 4}
_SEARCH = {"product": 42, "collection": 26, "article": 20, "home": 11, "missing": 1}
_SHARED = {"product": 56, "article": 30, "home": 8, "collection": 6}

_SOURCES = (
    Source(30, "https://www.google.com/", "", _SEARCH, 0.95, 0.62),
    Source(4, "https://www.bing.com/", "", _SEARCH, 0.95, 0.18),
    Source(3, "https://duckduckgo.com/", "", _SEARCH, 0.95, 0.4),
    Source(2, "https://www.ecosia.org/", "", _SEARCH, 0.95, 0.3),
    Source(20, "", "", {"home": 62, "product": 22, "collection": 16}, 1.1, 0.52),
    Source(
        11, "https://www.google.com/",
        "utm_source=google&utm_medium=cpc&utm_campaign=rainwear-autumn&gclid=EAIaIQobChMI",
        {"product": 60, "collection": 40}, 0.85, 0.7,
    ),
    Source(
        7, "https://l.instagram.com/", "utm_source=instagram&utm_medium=paid_social&utm_campaign=autumn-lookbook",
        {"product": 55, "collection": 45}, 0.55, 0.97,
    ),
    Source(6, "https://l.instagram.com/", "", _SHARED, 0.6, 0.97),
    Source(4, "https://www.pinterest.com/", "", _SHARED, 0.6, 0.85),
    Source(3, "https://m.facebook.com/", "", _SHARED, 0.6, 0.9),
    Source(2, "https://www.youtube.com/", "", {"product": 60, "article": 30, "home": 10}, 0.8, 0.66),
    Source(2, "https://www.reddit.com/", "", _SHARED, 0.7, 0.55),
    Source(4, "https://chatgpt.com/", "", {"product": 48, "article": 36, "collection": 16}, 1.15, 0.4),
    Source(1, "https://www.perplexity.ai/", "", {"product": 50, "article": 50}, 1.15, 0.3),
    Source(4, "https://www.bergzeit.de/magazin/zelte-im-test", "", {"product": 80, "home": 20}, 1.0, 0.5),
    Source(2, "https://www.outdoor-magazin.com/", "", {"product": 60, "article": 20, "home": 20}, 1.0, 0.5),
)  # fmt: skip

_RETURN_SOURCES = (
    Source(56, "", "", _WIDE | {"account": 12, "cart": 8}, 1.3, 0.5),
    Source(20, "https://www.google.com/", "", {"home": 60, "product": 40}, 1.25, 0.6),
    Source(16, "", _SALE + "november-edit", {"collection": 55, "product": 45}, 1.05, 0.66),
    Source(5, "", _SALE + "back-in-stock", {"product": 100}, 1.2, 0.66),
    Source(3, "https://l.instagram.com/", "", _SHARED, 0.8, 0.97),
)

_QUERIES = (
    "rain jacket", "tent 2 person", "merino", "sleeping bag winter", "gaiters", "backpack 45l", "kids", "gas stove",
)  # fmt: skip
_METHODS = ("card", "card", "paypal", "paypal", "invoice")


def _acts(visiting: Visiting) -> Iterator[Act]:
    chance, page = visiting.chance, visiting.page
    if visiting.kind == "product":
        if chance.random() < 0.13:
            visiting.basket.append((page.path.rpartition("/")[2], page.price))
            yield Act(0.7, "Add to cart", {"product": visiting.basket[-1][0], "price": page.price})
        elif chance.random() < 0.04:
            yield Act(0.6, "Wishlist", {"product": page.path.rpartition("/")[2]})
    elif visiting.kind == "search":
        query = chance.choice(_QUERIES)
        yield Act(0.02, "Search", {"query": query, "results": 0 if query == "kids" else 3 + len(query)})
    elif visiting.kind == "cart" and not visiting.basket:
        kept = chance.choice(_KINDS["product"].pages)  # from the last visit
        visiting.basket.append((kept.path.rpartition("/")[2], kept.price))
    elif visiting.kind == "checkout":
        yield Act(0.01, "Checkout", {"items": len(visiting.basket)})
    elif visiting.kind == "thanks":
        amount = round(sum(price for _, price in visiting.basket), 2)
        yield Act(0.01, "Purchase", {"items": len(visiting.basket), "method": chance.choice(_METHODS)}, amount)
        if not visiting.is_member and chance.random() < 0.35:
            yield Act(0.8, "Signup", {"place": "checkout"})
        visiting.basket.clear()
    elif visiting.kind == "missing":
        yield Act(0.01, "404", {"path": page.path}, interactive=False)
    elif visiting.kind == "info" and page.path.endswith("/stores") and chance.random() < 0.4:
        yield Act(0.8, "Outbound Link: Click", {"url": "https://www.openstreetmap.org/"})
    if visiting.is_first_visit and chance.random() < 0.012:
        yield Act(0.5, "Newsletter", {"place": "footer" if visiting.kind != "article" else "article"})


SHOP = World(
    slug="shop",
    name="Fjord & Field",
    domain="fjordandfield.example",
    timezone="Europe/Berlin",
    currency="EUR",
    share=0.6,
    hours=(12, 7, 4, 3, 3, 6, 18, 34, 42, 46, 50, 54, 60, 56, 52, 54, 58, 66, 78, 92, 100, 92, 62, 30),
    weekend_hours=(16, 10, 6, 4, 3, 5, 9, 20, 42, 62, 76, 80, 76, 74, 78, 82, 84, 86, 90, 98, 100, 84, 54, 28),
    weekdays=(1.04, 0.97, 0.95, 0.94, 0.9, 0.98, 1.22),
    growth=0.3,
    spike=Spike(12, 2.3, Source(1, "", _SALE + "winter-launch", {"collection": 70, "product": 30}, 1.05, 0.68)),
    countries=weights(
        "DE 61, AT 11, CH 9, NL 5, DK 2.5, SE 2.5, FR 2.2, GB 2, BE 1.4, IT 1, PL 0.9, US 0.8, CZ 0.6, NO 0.5"
    ),
    sources=_SOURCES,
    return_sources=_RETURN_SOURCES,
    kinds=_KINDS,
    basket_kinds=frozenset(("cart", "checkout", "thanks")),
    acts=_acts,
    returns=0.3,
    members=0.2,
    keeps_id=True,
    events_per_visit=3.2,
    goals=(
        WantedGoal("event", "Purchase", "Order"),
        WantedGoal("event", "Add to cart"),
        WantedGoal("event", "Newsletter"),
        WantedGoal("page", "/journal/**", "Read the journal"),
    ),
)  # fmt: skip
