"""The filter tree: read from the Stats API's JSON or from a URL, written back to both.

JSON: `[op, dimension, [value, ...], {"case_sensitive": false}?]`, `["and" | "or", [filter, ...]]`, `["not", filter]`,
`["has_done" | "has_not_done", filter]`.
URL: a parameter `f` for each filter of the top level, which is an AND:

    f=is:visit:country:DE|FR        f=contains~:event:page:/blog        (~: without case)

`|` between values, `\\` before a `|` or `\\` that belongs to a value, and before a `:` or `\\` in a property's name
(`f=is:event:props:plan:pro`). Everything but a comparison is `f=json:` and its JSON.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, TypeVar

import msgspec

from appliance.decoding import decode
from appliance.errors import Invalid
from appliance.queries.dimensions import PROPERTY, TIME_DIMENSIONS, dimension
from appliance.spelling import spelled
from appliance.storage.matching import check_pattern, check_patterns

T = TypeVar("T")

Operator = Literal["is", "is_not", "contains", "contains_not", "matches", "matches_not"]
OPERATORS: Final[tuple[Operator, ...]] = ("is", "is_not", "contains", "contains_not", "matches", "matches_not")

SEGMENT: Final = "segment"  # in place of a dimension: the values are ids of saved segments (segments.py)
DEPTH_MAX: Final = 16
VALUES_MAX: Final = 1_000
LEAVES_MAX: Final = 100


class Leaf(msgspec.Struct, frozen=True):
    """A comparison of one dimension with any of the values."""

    operator: Operator
    dimension: str
    values: tuple[str, ...]
    case_sensitive: bool = True


class AllOf(msgspec.Struct, frozen=True):
    """Every part holds; without parts everything does."""

    parts: tuple["Filter", ...] = ()


class AnyOf(msgspec.Struct, frozen=True):
    """At least one part holds."""

    parts: tuple["Filter", ...]


class Not(msgspec.Struct, frozen=True):
    part: "Filter"


class HasDone(msgspec.Struct, frozen=True):
    """The visitor has an event in range that the part holds for; has none, where `done` is false."""

    part: "Filter"
    done: bool = True


Filter = Leaf | AllOf | AnyOf | Not | HasDone
EVERYTHING: Final = AllOf()


def leaves(tree: Filter) -> Iterator[Leaf]:
    """All comparisons in a tree, those of what a visitor has done included."""
    for part in walk(tree):
        if isinstance(part, Leaf):
            yield part


def looks_at(tree: Filter) -> Iterator[Leaf]:
    """The comparisons that an event or visit is itself compared by."""
    if isinstance(tree, Leaf):
        yield tree
    elif not isinstance(tree, HasDone):
        for part in _parts(tree):
            yield from looks_at(part)


def asks_for_visitors(tree: Filter) -> bool:
    """Whether the tree asks what a visitor has done."""
    return any(isinstance(part, HasDone) for part in walk(tree))


def walk(tree: Filter) -> Iterator[Filter]:
    """A tree and all its parts."""
    yield tree
    for part in _parts(tree):
        yield from walk(part)


def _parts(tree: Filter) -> tuple[Filter, ...]:
    if isinstance(tree, Leaf):
        return ()
    return (tree.part,) if isinstance(tree, Not | HasDone) else tree.parts


def conjuncts(tree: Filter) -> list[Filter]:
    """The parts that all must hold, however the AND is written: nested, an `or` of one, the `not` of an `or`."""
    if isinstance(tree, Not):
        inner = tree.part
        if isinstance(inner, Not):
            return conjuncts(inner.part)
        if isinstance(inner, AnyOf) or (isinstance(inner, AllOf) and len(inner.parts) == 1):
            return [found for part in inner.parts for found in conjuncts(Not(part))]
    if isinstance(tree, AllOf) or (isinstance(tree, AnyOf) and len(tree.parts) == 1):
        return [found for part in tree.parts for found in conjuncts(part)]
    return [tree]


def written_parts(tree: Filter) -> list[Filter]:
    """The parts of the AND at the top as they are written: those that a list of filters shows one by one."""
    return list(tree.parts) if isinstance(tree, AllOf) else [tree]


# ---------------------------------------------------------------------- JSON


Check = Callable[[Leaf, str], Filter]  # a comparison and the pointer to it in, what stands for it out


class Bounded:
    """A check of comparisons that also bounds how many there are of one question, and the patterns in them."""

    def __init__(self, check: Check | None) -> None:
        self._check = check or checked
        self._leaves = 0
        self._patterns: list[str] = []

    def __call__(self, leaf: Leaf, pointer: str) -> Filter:
        self._leaves += 1
        if self._leaves > LEAVES_MAX:
            raise _invalid(f"more than {LEAVES_MAX} filters", pointer)
        # Counted before any is compiled, which is what takes time.
        self._patterns += _patterns(leaf)
        _located(check_patterns, self._patterns, f"{pointer}/2")
        return self._check(leaf, pointer)


def parse(value: object, pointer: str = "#/filters", check: Check | None = None) -> AllOf:
    """The list of filters that the API takes; `check` is `checked` unless another is given, and one that is Bounded
    goes on counting.

    Raises Invalid with a JSON pointer to the fault.
    """
    bounded = check if isinstance(check, Bounded) else Bounded(check)
    return AllOf(tuple(_parse_list(value, pointer, 0, bounded)))


def to_json(tree: Filter) -> list[Any]:
    """What `parse` reads: a filter, or for the AND at the top use `[to_json(part) for part in written_parts(tree)]`."""
    if isinstance(tree, Leaf):
        written: list[Any] = [tree.operator, tree.dimension, list(tree.values)]
        return written if tree.case_sensitive else [*written, {"case_sensitive": False}]
    if isinstance(tree, Not):
        return ["not", to_json(tree.part)]
    if isinstance(tree, HasDone):
        return ["has_done" if tree.done else "has_not_done", to_json(tree.part)]
    return ["and" if isinstance(tree, AllOf) else "or", [to_json(part) for part in tree.parts]]


def _parse_list(value: object, pointer: str, depth: int, check: Check) -> Iterator[Filter]:
    if not isinstance(value, list):
        raise _invalid("a list of filters is expected", pointer)
    for index, part in enumerate(value):
        yield _parse_one(part, f"{pointer}/{index}", depth, check)


def _parse_one(value: object, pointer: str, depth: int, check: Check) -> Filter:
    if depth > DEPTH_MAX:
        raise _invalid(f"filters are nested deeper than {DEPTH_MAX}", pointer)
    if not isinstance(value, list) or not value:
        raise _invalid("a filter is a list that begins with its operator", pointer)
    operator = value[0]
    if operator in OPERATORS:
        return check(_parse_leaf(value, pointer), pointer)
    if operator not in ("and", "or", "not", "has_done", "has_not_done"):
        raise _invalid(f"{spelled(operator)} is not an operator of filters", f"{pointer}/0")
    if len(value) != 2:
        raise _invalid(f"{spelled(operator)} takes one argument", pointer)
    if operator == "not":
        return Not(_parse_one(value[1], f"{pointer}/1", depth + 1, check))
    if operator in ("has_done", "has_not_done"):
        part = _parse_one(value[1], f"{pointer}/1", depth + 1, check)
        if asks_for_visitors(part):
            raise _invalid("has_done cannot stand inside has_done", f"{pointer}/1")
        return HasDone(part, operator == "has_done")
    parts = tuple(_parse_list(value[1], f"{pointer}/1", depth + 1, check))
    if not parts:
        raise _invalid(f"{spelled(operator)} needs at least one filter", f"{pointer}/1")
    return AllOf(parts) if operator == "and" else AnyOf(parts)


def _parse_leaf(value: list[Any], pointer: str) -> Leaf:
    if len(value) not in (3, 4):
        raise _invalid("a comparison is [operator, dimension, values, options?]", pointer)
    operator, name, values = value[:3]
    if not isinstance(name, str):
        raise _invalid("a dimension is expected", f"{pointer}/1")
    if not isinstance(values, list):
        raise _invalid("a list of values is expected", f"{pointer}/2")
    if name == SEGMENT:
        values = [f"{item}" if isinstance(item, int) and not isinstance(item, bool) else item for item in values]
    for index, item in enumerate(values):
        if not isinstance(item, str):
            raise _invalid("a text is expected", f"{pointer}/2/{index}")
    case_sensitive = _case_sensitive(value[3], f"{pointer}/3") if len(value) == 4 else True
    return Leaf(operator, name, tuple(values), case_sensitive)


def _case_sensitive(options: object, pointer: str) -> bool:
    if not isinstance(options, dict) or set(options) - {"case_sensitive"}:
        raise _invalid('the only option is {"case_sensitive": true | false}', pointer)
    value = options.get("case_sensitive")
    if value is None:
        return True
    if not isinstance(value, bool):
        raise _invalid("true or false is expected", f"{pointer}/case_sensitive")
    return value


def checked(leaf: Leaf, pointer: str = "#/filters") -> Leaf:
    """The leaf, with codes of countries in capitals. Raises Invalid unless it can be evaluated."""
    if leaf.dimension in TIME_DIMENSIONS:
        raise _invalid("time is not filtered by: use the date range", f"{pointer}/1")
    try:
        dimension(leaf.dimension)
    except Invalid as error:
        raise _invalid(str(error), f"{pointer}/1") from None
    if not leaf.values or len(leaf.values) > VALUES_MAX:
        raise _invalid(f"1 to {VALUES_MAX} values are expected", f"{pointer}/2")
    if leaf.operator in ("is", "is_not") and leaf.dimension == "visit:country":
        return msgspec.structs.replace(leaf, values=tuple(_countries(leaf.values, pointer)))
    _located(check_patterns, _patterns(leaf), f"{pointer}/2")
    for index, value in enumerate(_patterns(leaf)):
        _located(check_pattern, value, f"{pointer}/2/{index}", f"{spelled(value)}: ")
    return leaf


def _patterns(leaf: Leaf) -> tuple[str, ...]:
    return leaf.values if leaf.operator in ("matches", "matches_not") else ()


def _located(check: Callable[[T], None], value: T, pointer: str, before: str = "") -> None:
    try:
        check(value)
    except Invalid as error:
        raise _invalid(f"{before}{error}", pointer) from None


def _countries(values: Iterable[str], pointer: str) -> Iterator[str]:
    missing = dimension("visit:country").missing
    for index, value in enumerate(values):
        if value != missing and not (len(value) == 2 and value.isascii() and value.isalpha()):
            raise _invalid("a country is two letters (ISO 3166-1), such as DE", f"{pointer}/2/{index}")
        yield value if value == missing else value.upper()


def _invalid(message: str, pointer: str) -> Invalid:
    return Invalid(message, code="invalid_filter", field="filters", pointer=pointer, status=400)


# ---------------------------------------------------------------------- URL


def to_url(tree: Filter) -> list[str]:
    """Values of the parameter `f`, not percent-encoded."""
    return [_write(part) for part in written_parts(tree)]


def from_url(parameters: Iterable[str], check: Check | None = None) -> AllOf:
    """Reads what `to_url` wrote, percent-decoded; `check` is `checked` unless another is given. Raises Invalid."""
    bounded = Bounded(check)
    return AllOf(tuple(_read(text, bounded) for text in parameters))


def _write(tree: Filter) -> str:
    if not isinstance(tree, Leaf):
        return "json:" + msgspec.json.encode(to_json(tree)).decode()
    values = "|".join(_escaped(value, "|") for value in tree.values)
    name = tree.dimension
    if name.startswith(PROPERTY):
        name = PROPERTY + _escaped(name.removeprefix(PROPERTY), ":")
    return f"{tree.operator}{'' if tree.case_sensitive else '~'}:{name}:{values}"


def _escaped(text: str, separator: str) -> str:
    return text.replace("\\", "\\\\").replace(separator, f"\\{separator}")


def _read(text: str, check: Check) -> Filter:
    operator, _, rest = text.partition(":")
    if operator == "json":
        try:
            value = decode(rest, what="the filter")
        except Invalid as error:
            raise _invalid(str(error), "#/f") from None
        return _parse_one(value, "#/f", 0, check)
    scope, _, rest = rest.partition(":")
    name, colon, values = rest.partition(":")
    if scope == SEGMENT:
        scope, name, colon, values = "", SEGMENT, ":", f"{name}{colon}{values}"
    if f"{scope}:{name}:" == PROPERTY:
        (key, *others) = _split(values, ":", 1)
        name, colon, values = f"{name}:{key}", ":" if others else "", "".join(others)
    folded = operator.endswith("~")
    operator = operator.removesuffix("~")
    if operator not in OPERATORS or not colon:
        raise _invalid(f"{spelled(text)} is not operator:dimension:values", "#/f")
    whole = f"{scope}:{name}" if scope else name
    return check(Leaf(operator, whole, tuple(_split(values, "|")), not folded), "#/f")


def _split(text: str, separator: str, times: int = VALUES_MAX) -> list[str]:
    """The parts between separators, read back from `_escaped`; after the last one to split at, the rest as it is."""
    values, current, escaped = [], "", False
    for index, character in enumerate(text):
        if escaped or character not in ("\\", separator):
            current += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            values.append(current)
            current = ""
            if len(values) == times:
                return [*values, text[index + 1 :]]
    return [*values, current]
