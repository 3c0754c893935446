"""A URL or a path, as clients send it -> hostname, path, query and campaign tags."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.ingest.page import CLICK_IDS, PATH_CHARACTERS_MAX, Page, Tags, read_page, tags

PAGES = [
    # url, hostname, path, query
    ("https://example.com/pricing", "example.com", "/pricing", ""),
    ("https://example.com/pricing/", "example.com", "/pricing/", ""),
    ("https://example.com", "example.com", "/", ""),
    ("https://example.com?a=1", "example.com", "/", "a=1"),
    ("https://example.com#top", "example.com", "/", ""),
    ("https://Example.COM:8443/Path?Q=1#f", "example.com", "/Path", "Q=1"),
    ("https://www.example.com/", "www.example.com", "/", ""),
    ("HTTP://EXAMPLE.com/x", "example.com", "/x", ""),
    ("https://user:secret@example.com/x", "example.com", "/x", ""),
    ("https://example.com./x", "example.com", "/x", ""),
    ("http://[2001:db8::1]:8080/x", "[2001:db8::1]", "/x", ""),
    ("http://127.0.0.1:8000/", "127.0.0.1", "/", ""),
    ("http://localhost/", "localhost", "/", ""),
    ("https://xn--mnchen-3ya.example/", "xn--mnchen-3ya.example", "/", ""),
    ("//cdn.example.com/x", "cdn.example.com", "/x", ""),
    ("file:///home/me/index.html", "", "/home/me/index.html", ""),
    ("capacitor://localhost/tabs/home", "localhost", "/tabs/home", ""),
    ("app://checkout/step-2", "checkout", "/step-2", ""),
    ("/blog/post?id=7", "", "/blog/post", "id=7"),
    ("blog/post", "", "/blog/post", ""),
    ("docs:intro", "", "/docs:intro", ""),
    ("localhost:8000/x", "", "/localhost:8000/x", ""),
    ("?utm_source=x", "", "/", "utm_source=x"),
    ("", "", "/", ""),
    ("   ", "", "/", ""),
    ("  https://example.com/x  ", "example.com", "/x", ""),
    # the path is decoded, the query is not
    ("https://example.com/caf%C3%A9?q=caf%C3%A9", "example.com", "/café", "q=caf%C3%A9"),
    ("https://example.com/a%20b%20%20", "example.com", "/a b", ""),
    ("https://example.com/a+b", "example.com", "/a+b", ""),
    ("https://example.com/50%", "example.com", "/50%", ""),
    ("https://example.com/%FF", "example.com", "/\ufffd", ""),
    ("https://example.com/%E4%BD%A0", "example.com", "/你", ""),
    # nothing invisible gets through
    ("https://example.com/a%00b\x00c", "example.com", "/abc", ""),
    ("https://exa\tmple.com/a\nb", "example.com", "/ab", ""),
    ("https://example.com/%1B[31mred", "example.com", "/[31mred", ""),
    ("https://example.com/\u202egnp.exe", "example.com", "/gnp.exe", ""),
    ("https://example.com/\ud800x", "example.com", "/x", ""),
]


@pytest.mark.parametrize(("url", "hostname", "path", "query"), PAGES)
def test_reads_pages(url: str, hostname: str, path: str, query: str) -> None:
    assert read_page(url) == Page(hostname, path, query)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://example.com/app#/settings", "/app#/settings"),
        ("https://example.com/#/caf%C3%A9 ", "/#/café"),
        ("https://example.com/app?x=1#/a?b=2", "/app#/a?b=2"),
        ("https://example.com/app#", "/app"),
        ("https://example.com/app", "/app"),
    ],
)
def test_hash_routing_makes_the_fragment_part_of_the_path(url: str, path: str) -> None:
    assert read_page(url, hash_routing=True).path == path
    assert "#" not in read_page(url).path


@pytest.mark.parametrize(
    "url",
    [
        "data:text/html,<h1>x</h1>",
        "javascript:alert(1)",
        "JavaScript://example.com/%0aalert(1)",
        " java\tscript:alert(1)",
        "blob:https://example.com/9b2e",
        "about:blank",
        "about:srcdoc",
        "mailto:me@example.com",
    ],
)
def test_refuses_what_is_no_page(url: str) -> None:
    with pytest.raises(ValueError, match="is not a page"):
        read_page(url)


def test_a_path_is_limited_after_decoding() -> None:
    assert read_page("https://example.com/" + "%C3%A9" * 3_000).path == "/" + "é" * (8_172 // 6)
    assert len(read_page("/" + "x" * 5_000).path) == PATH_CHARACTERS_MAX
    assert len(read_page("/a#" + "x" * 5_000, hash_routing=True).path) == PATH_CHARACTERS_MAX


def test_a_hostname_is_limited() -> None:
    assert len(read_page("https://" + "a" * 9_000 + "/").hostname) == 255


@given(st.text())
@example("http://[::1")
@example("//")
@example("://")
@example("a" * 9_000)
def test_any_text_is_read_or_refused_by_value_error(url: str) -> None:
    for hash_routing in (False, True):
        try:
            page = read_page(url, hash_routing=hash_routing)
        except ValueError:
            continue
        assert page.path.startswith("/")
        assert len(page.path) <= PATH_CHARACTERS_MAX
        assert "\0" not in "".join(page)
        "".join(page).encode()


TAGS = [
    ("utm_source=a&utm_medium=b&utm_campaign=c&utm_content=d&utm_term=e", Tags("a", "b", "c", "d", "e")),
    ("utm_source=news+letter&utm_campaign=50%25%20off", Tags(utm_source="news letter", utm_campaign="50% off")),
    ("UTM_Source=a", Tags(utm_source="a")),
    ("utm_source=&utm_source=b&utm_source=c", Tags(utm_source="b")),
    ("ref=hn", Tags(ref="hn")),
    ("source=hn&ref=other", Tags(ref="hn")),
    ("gclid=Cj0KCQ", Tags(click_id="Cj0KCQ", click_kind="gclid")),
    ("msclkid=1", Tags(click_id="1", click_kind="msclkid")),
    ("ScCid=1", Tags(click_id="1", click_kind="ScCid")),
    ("sccid=1", Tags(click_id="1", click_kind="ScCid")),
    ("fbclid=1&gclid=2", Tags(click_id="1", click_kind="fbclid")),
    ("utm_source=%00a%0A", Tags(utm_source="a")),
    ("utm_source=%20%20", Tags()),
    ("id=1&page=2", Tags()),
    ("utm_source", Tags()),
    ("", Tags()),
    ("&&==&=a", Tags()),
]


@pytest.mark.parametrize(("query", "expected"), TAGS)
def test_reads_tags(query: str, expected: Tags) -> None:
    assert tags(query) == expected


@pytest.mark.parametrize("name", CLICK_IDS)
def test_knows_every_click_id(name: str) -> None:
    assert tags(f"a=1&{name}=x%2Fy") == Tags(click_id="x/y", click_kind=name)


def test_a_tag_is_limited_after_decoding() -> None:
    assert tags("utm_term=" + "%F0%9F%98%80" * 300).utm_term == "😀" * 255


@given(st.text())
def test_any_query_has_tags(query: str) -> None:
    found = tags(query)
    assert all(len(value) <= 255 for value in found)
    "".join(found).encode()
