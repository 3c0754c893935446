"""Templates, words and assets fit together."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from appliance.web import rendering, strings
from appliance.web.rendering import STATIC, TEMPLATES
from tests.web import samples, samples_admin, samples_pages
from tests.web.gallery import PAGES, render

SOURCES = {path.relative_to(TEMPLATES).as_posix(): path.read_text() for path in TEMPLATES.rglob("*.html")}
CODE = "\n".join(
    path.read_text() for path in (rendering.FOLDER / "web").rglob("*.py") if not path.name.startswith("strings")
)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_renders_to_whole_html_without_inline_style_or_script(name: str) -> None:
    template, view = PAGES[name]
    html = render(template, view())
    page = Page(html)
    assert page.open == []
    assert not page.styled
    assert not page.handlers
    assert page.inline_scripts == 1  # the words, as data
    assert page.duplicate_ids == set()
    assert page.headings == 1


@pytest.mark.parametrize(
    ("fragment", "view"),
    [
        ("dashboard/_dash.html", samples.dashboard),
        ("dashboard/_main.html", samples.dashboard),
        ("details/_dialog.html", samples_pages.details),
        ("filter/_dialog.html", samples_pages.filter_view),
        ("filter/_values.html", samples_pages.filter_view),
        ("live/_now.html", samples_pages.live),
        ("admin/_health.html", samples_admin.health),
    ],
)
def test_every_fragment_renders_alone(fragment: str, view: object) -> None:
    html = render(fragment, view(), fragment=True)  # type: ignore[operator]
    assert "<html" not in html
    assert Page(html).open == []


def test_a_panel_and_a_line_of_the_log_render_alone() -> None:
    panel = render("dashboard/_panel.html", samples.dashboard(), panel=samples.panel("sources"))
    assert panel.count('class="row"') == len(samples.SOURCES)
    row = render("live/_feed_row.html", samples_pages.live(), row=samples_pages.FEED[2])
    assert "refused" in row
    assert "Bot" in row


def test_a_missing_value_is_an_error_and_never_a_hole() -> None:
    with pytest.raises(UndefinedError):
        render("dashboard/_panel.html", samples.dashboard())


def test_what_users_wrote_is_escaped() -> None:
    evil = '<img src=x onerror="alert(1)">'
    row = replace(samples.panel("pages").rows[0], label=evil)
    html = render(
        "dashboard/_panel.html",
        samples.dashboard(),
        panel=replace(samples.panel("pages"), rows=(row,)),
    )
    assert "<img" not in html
    assert "&lt;img" in html
    chip = replace(samples.CHIPS[0], values=(evil,))
    assert "<img" not in render("dashboard/_dash.html", samples.dashboard(chips=(chip,)))


def test_words_escape_their_values_but_not_markup() -> None:
    assert rendering.words("filter.chip.is", dimension="A & B", value=Markup("<b>c</b>")) == "A &amp; B is <b>c</b>"
    assert rendering.words("live.people", n=1) == "person on the site now"
    assert rendering.words("live.people", n=2) == "people on the site now"


def test_every_word_that_a_template_asks_for_is_in_the_catalogue() -> None:
    asked = {
        key for source in SOURCES.values() for key in re.findall(r"""\bt\(\s*["']([\w.:]+[\w:])["']\s*[,)]""", source)
    }
    asked |= {
        key
        for source in SOURCES.values()
        for pair in re.findall(r"""\bt\("([\w.]+)" if [^"]+ else "([\w.]+)\"""", source)
        for key in pair
    }
    assert asked
    assert {key for key in asked if strings.form(key, 2) not in strings.TEXTS} == set()


def test_every_word_that_the_code_asks_for_is_in_the_catalogue() -> None:
    asked = set(re.findall(r'''\b(?:strings\.text|words|(?<!\.)text)\("([\w.:]+)"''', CODE))
    assert {key for key in asked if strings.form(key, 2) not in strings.TEXTS} == set()


def test_every_word_of_the_catalogue_is_used() -> None:
    text = "\n".join([*SOURCES.values(), CODE, (STATIC / "app.js").read_text()])
    composed = (*re.findall(r"""["'`]([\w.]+\.)["'`{$]""", text), "delta.", "change.", "chart.summary", "value.")
    unused = {
        key
        for key in strings.TEXTS
        if (base := re.sub(r"\.(one|other)$", "", key)) not in text and not base.startswith(composed)
    }
    assert unused == set()


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))
    named = {name for source in SOURCES.values() for name in re.findall(r'icon\("([a-z0-9-]+)"', source)}
    named |= {name for source in SOURCES.values() for name in re.findall(r'else "([a-z]+-[a-z-]+)"\)', source)}
    assert named
    assert named <= sprite


def test_a_static_url_changes_with_its_content() -> None:
    url = rendering.static("app.css")
    assert re.fullmatch(r"/static/app\.css\?v=[0-9a-f]{10}", url)
    with pytest.raises(FileNotFoundError):
        rendering.static("missing.css")


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("Chrome", "googlechrome"),
        ("Mobile Safari", "safari"),
        ("Hacker News", "ycombinator"),
        ("macOS", "apple"),
        ("dev.to", "devdotto"),
        ("LinkedIn", None),
        ("", None),
    ],
)
def test_products_have_their_marks_or_a_letter(name: str, mark: str | None) -> None:
    assert rendering.brand(name) == mark


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, False),
        ({"hx-request": "true"}, True),
        ({"hx-request": "true", "hx-history-restore-request": "true"}, False),
    ],
)
def test_fragments_are_for_swaps_and_not_for_going_back(headers: dict[str, str], wanted: bool) -> None:
    assert rendering.wants_fragment(headers) is wanted


def test_every_country_on_the_map_has_a_flag_and_a_shape_or_dot() -> None:
    shapes = set(re.findall(r'id="([A-Z]{2})"', (STATIC / "world.svg").read_text()))
    flags = set(re.findall(r'symbol id="([A-Z]{2})"', (STATIC / "flags.svg").read_text()))
    assert len(shapes) > 235
    assert shapes - flags == set()
    assert {"MT", "SG", "MU", "GI", "GF", "RE", "XK", "TV"} <= shapes  # small ones, overseas ones
    assert flags - shapes <= {
        "AC",
        "AQ",
        "BV",
        "EU",
        "IC",
        "TA",
        "UM",
    }  # nobody lives there, or not a country


def test_vendored_files_are_listed_with_their_licences() -> None:
    lines = [line.split("\t") for line in (STATIC / "vendor" / "VERSIONS").read_text().splitlines()[1:]]
    files = {path.name for path in (STATIC / "vendor").iterdir()} - {"VERSIONS"}
    made = {line[4].removeprefix("vendor/") for line in lines if line[4].startswith("vendor/")}
    assert files == made | {line[3] for line in lines}
    geist = next(version for name, version, *_ in lines if name.endswith("/geist"))
    asked = re.findall(r"/(geist-[a-z-]+\.woff2)\?v=([\d.]+)", (STATIC / "app.css").read_text() + SOURCES["base.html"])
    assert set(asked) == {(path.name, geist) for path in (STATIC / "fonts").iterdir()}
    recipe = (STATIC.parent.parent / "tools" / "build_assets.mjs").read_text()
    assert all(f'"{name}": ["{version}", "{licence}"' in recipe for name, version, licence, _, _ in lines)


def test_the_script_has_the_words_it_writes() -> None:
    script = (STATIC / "app.js").read_text()
    words = strings.for_scripts()
    assert json.loads(json.dumps(words)) == words
    asked = set(re.findall(r'words\["([\w.]+)"\]', script)) | set(re.findall(r'say\("([\w.]+)"', script))
    assert {key for key in asked if key not in words and f"{key}.other" not in words} == set()


class Page(HTMLParser):
    """What a page holds, for the checks above."""

    VOID = frozenset("meta link input br hr img".split())  # noqa: SIM905

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.styled: list[str] = []
        self.handlers: list[str] = []
        self.inline_scripts = 0
        self.headings = 0
        self.ids: list[str] = []
        self.feed(html)

    @property
    def duplicate_ids(self) -> set[str]:
        return {name for name in self.ids if self.ids.count(name) > 1}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.styled += [tag] if "style" in given or tag == "style" else []
        self.handlers += [name for name in given if name.startswith("on")]
        self.inline_scripts += tag == "script" and "src" not in given
        self.headings += tag == "h1"
        if given.get("id"):
            self.ids.append(str(given["id"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()
