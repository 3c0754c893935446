"""Rebuild bots.txt from the npm package isbot (Unlicense):

    npm pack isbot@5 && tar xf isbot-5.*.tgz
    python -m appliance.ingest.data.build_bots package

isbot writes JavaScript patterns; we match with RE2, which is linear in time but knows no look-around.
A "not after these words" or "not before these words" is therefore spelled out, character by character.
A pattern that uses look-around in any other place stops the build, so that a person decides.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import re2

_LIST = re.compile(r"var patterns_default = (\[.*?\n\]);", re.DOTALL)
_SHAPE = re.compile(r"^(?:\(\?<!(?P<after>[^()]*)\))?(?P<body>.+?)(?:\(\?!(?P<before>.*)\))?$")


def _trie(words: list[str]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return root


def _spell(node: dict[str, Any], edge: str, *, leftwards: bool) -> str:
    """Whatever text does not spell one of the trie's words, read away from the body; `edge` is ^ or $."""
    others = "".join(re.escape(character) for character in sorted(node))
    choices = [edge, f"[^{others}]"]
    for character in sorted(node):
        if "" in node[character]:
            continue
        rest = _spell(node[character], edge, leftwards=leftwards)
        choices.append(rest + re.escape(character) if leftwards else re.escape(character) + rest)
    return f"(?:{'|'.join(choices)})"


def without_look_around(pattern: str) -> str:
    """The same pattern in RE2's syntax. ValueError where look-around stands elsewhere than at an end."""
    shape = _SHAPE.match(pattern)
    if shape is None or "(?!" in shape["body"] or "(?<" in shape["body"]:
        raise ValueError(f"look-around in an unexpected place: {pattern}")
    result = shape["body"]
    if shape["after"]:
        words = [word[::-1] for word in shape["after"].split("|")]
        result = _spell(_trie(words), "^", leftwards=True) + result
    if shape["before"]:
        words = re.sub(r"^\(\?:(.*)\)$", r"\1", shape["before"]).split("|")
        result += _spell(_trie(words), "$", leftwards=False)
    re2.compile(result)
    return result


def main(package: Path) -> None:
    version = json.loads((package / "package.json").read_text())["version"]
    found = _LIST.search((package / "index.mjs").read_text())
    if found is None:
        raise SystemExit(f"no pattern list in {package / 'index.mjs'}")
    patterns = [without_look_around(pattern) for pattern in json.loads(found[1])]
    here = Path(__file__).parent
    header = [
        f"# Agents of bots, one RE2 pattern a line, case-insensitive. From isbot {version} (Unlicense, see",
        "# LICENSE-isbot.txt) by build_bots.py; not edited by hand.",
    ]
    (here / "bots.txt").write_text("\n".join([*header, *patterns]) + "\n")
    (here / "LICENSE-isbot.txt").write_text((package / "LICENSE").read_text())
    print(f"isbot {version}: {len(patterns)} patterns")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
