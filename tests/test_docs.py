"""What the documentation promises: every setting, command and field is there, links lead somewhere, examples work."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from appliance import config
from appliance.cli import cli
from appliance.ingest.sent import Sent
from appliance.model import Flag
from appliance.queries.export import DATASETS
from tests.process import Server

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "perf").glob("*.md")]
)
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """Rows of all tables by their first cell; an escaped bar belongs to its cell."""
    cells = (re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in text.splitlines() if line.startswith("|"))
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells}


# ---------------------------------------------------------------- settings and commands


@pytest.mark.parametrize("info", config.table(), ids=lambda info: info.name)
def test_every_setting_is_documented_with_its_default(info: config.SettingInfo) -> None:
    default, meaning = rows(page("docs/operations.md"))[f"`{info.variable}`"]
    words = {"False": "false", "True": "true", "()": ""}
    written = words.get(str(info.default), str(info.default))
    assert default == (f"`{written}`" if written else "")
    assert len(meaning) > 20


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {info.variable for info in config.table()}
    for path in PAGES:
        named = {name.removesuffix("_FILE") for name in re.findall(r"\bAPPLIANCE_[A-Z_]+\b", path.read_text("utf-8"))}
        assert named <= known, path


def commands(group: click.Group, name: str = "appliance") -> list[str]:
    found = []
    for word, command in group.commands.items():
        found += commands(command, f"{name} {word}") if isinstance(command, click.Group) else [f"{name} {word}"]
    return found


@pytest.mark.parametrize("name", commands(cli))
def test_every_command_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}( [A-Z ]+)?` \|", page("docs/operations.md"), re.MULTILINE)


def test_documented_commands_and_options_exist() -> None:
    known = commands(cli)
    for path in PAGES:
        for line in re.findall(
            r"\bappliance ((?:project|key|user|import|serve|demo|status|drain|migrate|seal|purge|erase|copy|rollups)\b"
            r"[^`\n#|&]*)",
            path.read_text("utf-8"),
        ):
            words = line.split()
            command: click.Command = cli
            while isinstance(command, click.Group) and words and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            assert not isinstance(command, click.Group) or not words, f"{path.name}: {line}"
            options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            used = set(re.findall(r"(?<!\S)--[a-z-]+", line))
            assert used <= options, f"{path.name}: {line}"
    assert known


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    named = {
        name for path in PAGES for name in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert {"run", "demo", "test"} <= named <= targets


# ---------------------------------------------------------------- the API


def test_every_field_of_an_event_is_documented() -> None:
    text = page("docs/api.md")
    for field in Sent.__struct_fields__:
        assert f"`{field}`" in text, field


def test_columns_of_exports_that_are_no_fields_of_events_are_explained_where_they_need_it() -> None:
    text = page("docs/api.md")
    assert {"revenue", "visit_id"} <= set(DATASETS["events"])
    assert "in units of its currency" in text
    explained = rows(text.partition("## Export")[2])
    for column in ("visit_id", "visitor", "rate", "flags"):
        assert explained[f"`{column}`"], column
    for flag in Flag:
        assert f"`{flag.name.lower()}`" in explained["`flags`"][0]


# ---------------------------------------------------------------- links


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / unquote(name)) if name else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), target


# ---------------------------------------------------------------- examples


def shell_blocks(text: str) -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def test_the_examples_with_curl_work(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        made = server.project()
        for name in ("docs/api.md", "README.md"):
            for block in shell_blocks(page(name)):
                if "curl " not in block:
                    continue
                script = block.replace("http://127.0.0.1:8000", server.url)
                script = script.replace("sa_priv_…", made["private_key"]).replace("sa_…", made["public_key"])
                script = script.replace("curl ", "curl --silent --fail-with-body ")
                values = f"URL={server.url}\nPUBLIC={made['public_key']}\nPRIVATE={made['private_key']}\n"
                done = subprocess.run(
                    ["bash", "-euc", values + script], cwd=tmp_path, capture_output=True, text=True, timeout=30
                )
                assert done.returncode == 0, f"{name}: {block}\n{done.stdout}{done.stderr}"
                if done.stdout:
                    json.loads(done.stdout)
        assert (tmp_path / "events.csv").read_text("utf-8").startswith("event_id,event,timestamp")
        assert server.wait_until_stored(4) == 4


# ---------------------------------------------------------------- the image


def test_the_image_has_what_the_program_needs() -> None:
    dockerfile, ignored = page("Dockerfile"), page(".dockerignore").splitlines()
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in ignored, name
    assert "USER 10001:10001" in dockerfile
    assert dockerfile.index("install --directory") < dockerfile.index("VOLUME /data")
    assert health_check()[:2] == ["python", "-c"]


def health_check() -> list[str]:
    """The image's health check as a command."""
    command: list[str] = json.loads(re.findall(r"^  CMD (\[.*\])$", page("Dockerfile"), re.MULTILINE)[0])
    return command


@pytest.mark.parametrize(("path", "healthy"), [("/readyz", True), ("/none", False)])
def test_the_health_check_of_the_image_tells(tmp_path: Path, path: str, healthy: bool) -> None:
    command = [part.replace("/readyz", path) for part in health_check()]
    command[0] = sys.executable
    with Server(tmp_path / "data") as server:
        done = subprocess.run(command, env=server.environment, capture_output=True, timeout=10)
    assert (done.returncode == 0) is healthy
