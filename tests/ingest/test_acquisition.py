"""Referrer and campaign tags -> stored referrer, source name, channel."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.ingest import acquisition
from appliance.ingest.acquisition import CHANNELS, acquire, known_host, read_referrer
from appliance.ingest.page import CLICK_IDS, Page, read_page

OWN = frozenset(("example.com", "shop.example.net"))


def acquired(referrer: str = "", query: str = "") -> acquisition.Acquisition:
    return acquire(Page("example.com", "/", query), referrer, OWN)


REFERRERS = [
    # sent, stored, host
    ("https://www.google.com/", "www.google.com", "www.google.com"),
    ("https://News.Example.ORG/a/B?x=1#y", "news.example.org/a/B", "news.example.org"),
    ("http://example.org:8080/a/", "example.org/a/", "example.org"),
    ("https://user:secret@example.org/", "example.org", "example.org"),
    ("https://example.org?x=/y", "example.org", "example.org"),
    ("http://wiki/page", "wiki/page", "wiki"),
    ("http://[2001:db8::1]/x", "[2001:db8::1]/x", "[2001:db8::1]"),
    (
        "android-app://com.google.android.gm/",
        "android-app://com.google.android.gm",
        "android-app://com.google.android.gm",
    ),
    (
        "android-app://com.example.app/https/example.com/x",
        "android-app://com.example.app",
        "android-app://com.example.app",
    ),
    ("example.org/x", "example.org/x", "example.org"),
    ("https://exa\nmple.org/\x00x", "example.org/x", "example.org"),
    # no address
    ("", "", ""),
    ("null", "", ""),
    ("undefined", "", ""),
    ("$direct", "", ""),
    ("(direct)", "", ""),
    ("about:blank", "", ""),
    ("javascript:alert(1)", "", ""),
    ("javascript://example.org/%0aalert(1)", "", ""),
    ("data:text/html,x", "", ""),
    ("file:///home/me/x.html", "", ""),
    ("chrome-extension://abcdef/page.html", "", ""),
    ("https://", "", ""),
    ("https:///x", "", ""),
    ("https://<script>/x", "", ""),
    ("android-app://", "", ""),
    ("/a/path", "", ""),
]


@pytest.mark.parametrize(("sent", "stored", "host"), REFERRERS)
def test_reads_referrers(sent: str, stored: str, host: str) -> None:
    assert read_referrer(sent) == (stored, host)


SOURCES = [
    # referrer, source, channel
    ("", "", "Direct"),
    ("https://www.google.com/", "Google", "Organic Search"),
    ("https://www.google.co.uk/search?q=x", "Google", "Organic Search"),
    ("https://google.de", "Google", "Organic Search"),
    ("android-app://com.google.android.googlequicksearchbox/", "Google", "Organic Search"),
    ("https://www.bing.com/", "Bing", "Organic Search"),
    ("https://duckduckgo.com/", "DuckDuckGo", "Organic Search"),
    ("https://yandex.ru/", "Yandex", "Organic Search"),
    ("https://www.baidu.com/link?url=x", "Baidu", "Organic Search"),
    ("https://www.ecosia.org/", "Ecosia", "Organic Search"),
    ("https://www.qwant.com/", "Qwant", "Organic Search"),
    ("https://eu.startpage.com/do/search", "Startpage", "Organic Search"),
    ("https://search.brave.com/", "Brave Search", "Organic Search"),
    ("https://kagi.com/", "Kagi", "Organic Search"),
    ("https://m.search.naver.com/", "Naver", "Organic Search"),
    ("https://search.seznam.cz/", "Seznam", "Organic Search"),
    ("https://de.search.yahoo.com/", "Yahoo!", "Organic Search"),
    ("https://search.yahoo.co.jp/", "Yahoo!", "Organic Search"),
    ("https://news.google.com/articles/x", "Google News", "Organic Search"),
    ("https://l.facebook.com/l.php?u=x", "Facebook", "Organic Social"),
    ("http://m.facebook.com", "Facebook", "Organic Social"),
    ("https://l.instagram.com/", "Instagram", "Organic Social"),
    ("https://t.co/AbC123", "X", "Organic Social"),
    ("https://x.com/someone/status/1", "X", "Organic Social"),
    ("https://out.reddit.com/", "Reddit", "Organic Social"),
    ("https://news.ycombinator.com/item?id=1", "Hacker News", "Organic Social"),
    ("https://lobste.rs/", "Lobsters", "Organic Social"),
    ("https://lnkd.in/x", "LinkedIn", "Organic Social"),
    ("android-app://com.linkedin.android/", "LinkedIn", "Organic Social"),
    ("https://mastodon.social/", "Mastodon", "Organic Social"),
    ("https://go.bsky.app/", "Bluesky", "Organic Social"),
    ("https://www.tiktok.com/", "TikTok", "Organic Social"),
    ("https://web.telegram.org/", "Telegram", "Organic Social"),
    ("https://vk.com/away.php", "VK", "Organic Social"),
    ("https://www.youtube.com/redirect", "YouTube", "Organic Video"),
    ("https://youtu.be/x", "YouTube", "Organic Video"),
    ("https://vimeo.com/1", "Vimeo", "Organic Video"),
    ("https://v.qq.com/", "Tencent Video", "Organic Video"),
    ("https://www.amazon.de/", "Amazon", "Organic Shopping"),
    ("https://www.etsy.com/", "Etsy", "Organic Shopping"),
    ("https://mail.google.com/mail/u/0/", "Gmail", "Email"),
    ("android-app://com.google.android.gm/", "Gmail", "Email"),
    ("https://outlook.live.com/", "Outlook", "Email"),
    ("https://eur03.safelinks.protection.outlook.com/", "Outlook", "Email"),
    ("https://mail.yahoo.com/", "Yahoo! Mail", "Email"),
    ("https://e.mail.ru/", "Mail.ru Mail", "Email"),
    ("https://chatgpt.com/", "ChatGPT", "AI Assistants"),
    ("https://chat.openai.com/", "ChatGPT", "AI Assistants"),
    ("https://www.perplexity.ai/search/x", "Perplexity", "AI Assistants"),
    ("https://claude.ai/", "Claude", "AI Assistants"),
    ("https://gemini.google.com/", "Gemini", "AI Assistants"),
    ("https://copilot.microsoft.com/", "Copilot", "AI Assistants"),
    ("https://chat.deepseek.com/", "DeepSeek", "AI Assistants"),
    ("https://grok.com/", "Grok", "AI Assistants"),
    ("https://www.techmeme.com/", "Techmeme", "Referral"),
    ("https://flipboard.com/", "Flipboard", "Referral"),
    ("https://github.com/a/b", "GitHub", "Referral"),
    ("https://en.m.wikipedia.org/wiki/X", "Wikipedia", "Referral"),
    ("https://googleads.g.doubleclick.net/", "Google Ads", "Display"),
    # services of a search engine's company that are no search
    ("https://docs.google.com/document/d/1", "Google Docs", "Referral"),
    ("https://accounts.google.com/", "Google Accounts", "Referral"),
    ("https://www.openai.com/blog", "OpenAI", "Referral"),
    ("https://someone.free.fr/page", "Free", "Referral"),
    # unknown ones keep their host
    ("https://www.partner.example/offer", "partner.example", "Referral"),
    ("https://blog.partner.example/", "blog.partner.example", "Referral"),
    ("android-app://com.example.reader/", "com.example.reader", "Referral"),
    ("http://wiki/page", "wiki", "Referral"),
    # look-alikes are not what they look like
    ("https://google.com.evil.example/", "google.com.evil.example", "Referral"),
    ("https://notgoogle.com/", "notgoogle.com", "Referral"),
    ("https://mygoogle.com/", "mygoogle.com", "Referral"),
    ("https://google.com-login.example/", "google.com-login.example", "Referral"),
    ("https://facebook.com.example/", "facebook.com.example", "Referral"),
    ("https://xt.co/", "xt.co", "Referral"),
    ("https://evil.example/?https://google.com/", "evil.example", "Referral"),
    ("https://google.com@evil.example/", "evil.example", "Referral"),
    ("https://google/", "google", "Referral"),
]


@pytest.mark.parametrize(("referrer", "source", "channel"), SOURCES)
def test_a_referrer_gives_source_and_channel(referrer: str, source: str, channel: str) -> None:
    found = acquired(referrer)
    assert (found.source, found.channel) == (source, channel)


OWN_REFERRERS = [
    # page, referrer, internal?
    ("https://example.com/b", "https://example.com/a", True),
    ("https://www.example.com/b", "https://example.com/a", True),
    ("https://example.com/b", "https://WWW.example.com:443/a", True),
    ("https://example.com/b", "https://blog.example.com/", True),
    ("https://example.com/b", "https://shop.example.net/", True),
    ("https://example.com/b", "https://www.shop.example.net/", True),
    ("https://staging.example.dev/b", "https://staging.example.dev/a", True),
    ("https://staging.example.dev/b", "https://www.staging.example.dev/a", True),
    ("https://example.com/b", "https://example.net/", False),
    ("https://example.com/b", "https://myexample.com/", False),
    ("https://example.com/b", "https://example.com.evil.example/", False),
    ("https://staging.example.dev/b", "https://example.dev/", False),
    ("/b", "https://other.example/", False),
]


@pytest.mark.parametrize(("url", "referrer", "internal"), OWN_REFERRERS)
def test_own_referrers_are_internal(url: str, referrer: str, internal: bool) -> None:
    found = acquire(read_page(url), referrer, OWN)
    assert (found.referrer == "") is internal
    assert (found.channel == "Direct") is internal


def test_own_hosts_may_be_given_with_www() -> None:
    assert acquire(read_page("/"), "https://example.org/", frozenset(("www.example.org",))).source == ""


TAGGED = [
    # query, referrer, source, channel: in the order of GA4's definitions
    ("utm_source=google&utm_medium=cpc&utm_campaign=Cross-Network-1", "", "Google", "Cross-network"),
    ("utm_source=amazon&utm_medium=cpc", "", "Amazon", "Paid Shopping"),
    ("utm_source=x&utm_medium=ppc&utm_campaign=spring_shopping", "", "X", "Paid Shopping"),
    ("utm_source=shopfeed&utm_medium=paid&utm_campaign=eshop", "", "shopfeed", "Paid Shopping"),
    ("utm_source=google&utm_medium=cpc&utm_campaign=workshop", "", "Google", "Paid Search"),
    ("utm_source=google&utm_medium=cpc", "", "Google", "Paid Search"),
    ("utm_source=GOOGLE&utm_medium=CPC", "", "Google", "Paid Search"),
    ("utm_source=bing&utm_medium=paid-search", "", "Bing", "Paid Search"),
    ("utm_source=google&utm_medium=cpm", "", "Google", "Paid Search"),
    ("utm_source=facebook&utm_medium=paid_social", "", "Facebook", "Paid Social"),
    ("utm_source=fb&utm_medium=cpc", "https://l.facebook.com/", "Facebook", "Paid Social"),
    ("utm_source=ig&utm_medium=retargeting", "", "Instagram", "Paid Social"),
    ("utm_source=youtube&utm_medium=cpv", "", "YouTube", "Paid Video"),
    ("utm_source=youtube&utm_medium=cpc", "", "YouTube", "Paid Video"),
    ("utm_source=newspaper&utm_medium=banner", "", "newspaper", "Display"),
    ("utm_source=newspaper&utm_medium=cpm", "", "newspaper", "Display"),
    ("utm_source=newspaper&utm_medium=cpc", "", "newspaper", "Paid Other"),
    ("utm_source=chatgpt&utm_medium=cpc", "", "ChatGPT", "Paid Other"),
    ("utm_source=chatgpt.com", "", "ChatGPT", "AI Assistants"),
    ("utm_source=something&utm_medium=ai-assistant", "", "something", "AI Assistants"),
    ("utm_source=etsy", "", "Etsy", "Organic Shopping"),
    ("utm_source=partner&utm_campaign=shop-now", "", "partner", "Organic Shopping"),
    ("utm_source=partner&utm_campaign=workshop", "", "partner", "Referral"),
    ("utm_source=linkedin.com&utm_medium=referral", "", "LinkedIn", "Organic Social"),
    ("utm_source=partner&utm_medium=social-media", "", "partner", "Organic Social"),
    ("utm_source=google&utm_medium=social", "", "Google", "Organic Social"),
    ("utm_source=partner&utm_medium=instream-video", "", "partner", "Organic Video"),
    ("utm_source=google&utm_medium=organic", "", "Google", "Organic Search"),
    ("utm_source=partner&utm_medium=organic", "", "partner", "Organic Search"),
    ("utm_source=partner&utm_medium=app", "", "partner", "Referral"),
    ("utm_source=partner&utm_medium=email", "", "partner", "Email"),
    ("utm_source=e-mail", "", "e-mail", "Email"),
    ("utm_source=newsletter", "", "newsletter", "Email"),
    ("utm_source=mailchimp&utm_medium=whatever", "", "Mailchimp", "Email"),
    ("utm_medium=email", "", "", "Email"),
    ("utm_source=partner&utm_medium=affiliate", "", "partner", "Affiliates"),
    ("utm_source=podcast&utm_medium=audio", "", "podcast", "Audio"),
    ("utm_source=sms", "", "sms", "SMS"),
    ("utm_source=crm&utm_medium=sms", "", "crm", "SMS"),
    ("utm_source=onesignal&utm_medium=web-push", "", "onesignal", "Mobile Push Notifications"),
    ("utm_source=crm&utm_medium=mobile_app", "", "crm", "Mobile Push Notifications"),
    ("utm_source=firebase", "", "firebase", "Mobile Push Notifications"),
    ("utm_source=(direct)&utm_medium=(none)", "", "", "Direct"),
    ("utm_campaign=spring", "", "", "Direct"),
    # spellings
    ("utm_source=HN", "", "Hacker News", "Organic Social"),
    ("utm_source=hacker-news", "", "Hacker News", "Organic Social"),
    ("utm_source=Product%20Hunt", "", "Product Hunt", "Organic Social"),
    ("utm_source=news.ycombinator.com", "", "Hacker News", "Organic Social"),
    ("utm_source=www.partner.example", "", "partner.example", "Referral"),
    ("utm_source=Partner.example/autumn", "", "Partner.example/autumn", "Referral"),
    ("utm_source=Spring+Mailing", "", "Spring Mailing", "Referral"),
    ("utm_source=Dr.+Who", "", "Dr. Who", "Referral"),
    ("ref=producthunt", "", "Product Hunt", "Organic Social"),
    ("source=newsletter", "", "newsletter", "Email"),
    ("ref=hn&utm_source=google", "", "Google", "Organic Search"),
    ("utm_source=hn", "https://www.google.com/", "Hacker News", "Organic Social"),
    ("utm_medium=cpc", "https://www.google.com/", "Google", "Paid Search"),
    # click ids
    ("gclid=1", "https://www.google.com/", "Google", "Paid Search"),
    ("gclid=1", "", "Google", "Paid Search"),
    ("gbraid=1", "android-app://com.google.android.googlequicksearchbox", "Google", "Paid Search"),
    ("gclid=1", "https://www.youtube.com/", "YouTube", "Paid Video"),
    ("gclid=1", "https://www.ecosia.org/", "Ecosia", "Paid Search"),
    ("gclid=1", "https://www.facebook.com/", "Facebook", "Organic Social"),
    ("gclid=1", "https://blog.partner.example/", "blog.partner.example", "Referral"),
    ("gclid=1&utm_source=google", "", "Google", "Paid Search"),
    ("msclkid=1", "https://www.bing.com/", "Bing", "Paid Search"),
    ("msclkid=1", "https://duckduckgo.com/", "DuckDuckGo", "Paid Search"),
    ("ttclid=1", "https://www.tiktok.com/", "TikTok", "Paid Social"),
    ("twclid=1", "https://t.co/x", "X", "Paid Social"),
    ("li_fat_id=1", "", "LinkedIn", "Paid Social"),
    ("fbclid=1", "https://l.facebook.com/", "Facebook", "Organic Social"),
    ("fbclid=1", "", "Facebook", "Organic Social"),
    ("fbclid=1", "https://www.google.com/", "Google", "Organic Search"),
    ("fbclid=1&utm_source=fb&utm_medium=cpc", "", "Facebook", "Paid Social"),
]


@pytest.mark.parametrize(("query", "referrer", "source", "channel"), TAGGED)
def test_tags_and_click_ids_decide_before_the_referrer(query: str, referrer: str, source: str, channel: str) -> None:
    found = acquired(referrer, query)
    assert (found.source, found.channel) == (source, channel)


def test_tags_are_stored_as_sent() -> None:
    found = acquired(
        "https://www.google.com/",
        "utm_source=Google&utm_medium=CPC&utm_campaign=Spring&utm_content=Red&utm_term=shoes&gclid=Cj0",
    )
    assert found == ("www.google.com", "Google", "Paid Search", "Google", "CPC", "Spring", "Red", "shoes", "Cj0")


def test_tags_count_on_an_internal_link_too() -> None:
    found = acquired("https://example.com/a", "utm_source=banner")
    assert (found.referrer, found.source) == ("", "banner")


@pytest.mark.parametrize("name", CLICK_IDS)
def test_every_click_id_names_a_known_network(name: str) -> None:
    assert acquired(query=f"{name}=1").source


_text = st.one_of(st.text(), st.from_regex(r"https?://[a-z.]{0,12}(/[a-z%?#&=]{0,20})?", fullmatch=True))


@given(referrer=_text, query=st.text(), hostname=st.text(), own=st.frozensets(st.text(), max_size=3))
@example(referrer="http://[", query="utm_source=.", hostname="", own=frozenset(("",)))
@example(referrer="h" * 5_000, query="utm_source=http://[::1", hostname="x", own=frozenset())
def test_any_text_is_acquired(referrer: str, query: str, hostname: str, own: frozenset[str]) -> None:
    found = acquire(Page(hostname, "/", query), referrer, own)
    assert found.channel in CHANNELS
    assert len(found.referrer) <= 2_000
    "".join(found).encode()


# The table

DATA = Path(acquisition.__file__).with_name("data")
ROWS = [
    line.split("\t") for line in (DATA / "referrers.tsv").read_text("utf-8").splitlines() if not line.startswith("#")
]


def test_the_table_is_well_formed() -> None:
    kinds = {"search", "ai", "social", "video", "shopping", "email", "news", "display", "other"}
    hosts = [host for host, _, _ in ROWS]
    assert len(set(hosts)) == len(hosts)
    for host, name, kind in ROWS:
        assert host == host.lower().strip(".")
        assert "." in host
        assert not host.startswith("www.")
        assert name == name.strip() != ""
        assert kind in kinds


def test_a_row_says_more_than_the_domain_above_it() -> None:
    table = {host: (name, kind) for host, name, kind in ROWS}
    packages = ("com.", "org.", "net.", "jp.", "ru.", "me.", "io.", "ai.", "de.", "ch.", "tv.", "xyz.", "free.")
    for host, said in table.items():
        if host.count(".") >= 2 and not host.startswith(packages):
            above = known_host(host.partition(".")[2])
            assert above is None or tuple(above) != said, host


def test_the_table_covers_the_field() -> None:
    hosts: dict[str, int] = {}
    names: dict[str, set[str]] = {}
    for _, name, kind in ROWS:
        hosts[kind] = hosts.get(kind, 0) + 1
        names.setdefault(kind, set()).add(name)
    assert hosts["search"] >= 500
    assert len(names["social"]) >= 100
    assert len(names["ai"]) >= 40
    assert len(names["email"]) >= 50
    assert len(names["shopping"]) >= 60
    assert len(names["video"]) >= 30


def test_every_spelling_means_a_known_source() -> None:
    lines = (DATA / "sources.tsv").read_text("utf-8").splitlines()
    spellings = [line.split("\t")[0] for line in lines if not line.startswith("#")]
    assert len(set(spellings)) == len(spellings)
    for spelling in spellings:
        assert spelling == "".join(spelling.lower().split())
        assert acquired(query=f"utm_source={spelling}").channel != "Direct"
