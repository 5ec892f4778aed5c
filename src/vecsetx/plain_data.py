"""Read JSON, YAML and XML that anybody may have written, within bounds of size and depth.

No file may exhaust memory or time. A YAML file of a few lines can stand for billions of values, if
each alias stands for a list of aliases ("billion laughs"). Deep nesting exhausts the stack of a
reader.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast
from xml.etree import ElementTree

import yaml
from pydantic import TypeAdapter, ValidationError

from vecsetx.limits import DEPTH, JSON_BYTES, NUMBER_DIGITS, YAML_CHARACTERS, YAML_VALUES
from vecsetx.special_files import check_no_device
from vecsetx.suggestions import nearest, one_of

__all__ = [
    "PlainDataError",
    "first_problem",
    "hash_of",
    "is_whole_number",
    "parse_json",
    "parse_xml",
    "parse_yaml",
    "read_json",
    "read_yaml",
    "validated",
    "validator",
]

T = TypeVar("T")


class PlainDataError(ValueError):
    """A text is not the JSON, YAML or XML that it should be. The message names no file."""


def read_json(path: Path) -> Any:
    """Read a JSON file (UTF-8, with or without a byte order mark).

    Raises:
        OSError: The file cannot be read.
        InputError: It is a pipe or device.
        PlainDataError: It is too large or too deeply nested, or no JSON.
    """
    return parse_json(_text(path, JSON_BYTES))


def parse_json(text: str) -> Any:
    """Read JSON; a table's key must not have two values.

    Raises:
        PlainDataError: The text is too deeply nested, or no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except PlainDataError:
        raise
    except RecursionError:
        raise PlainDataError("nested too deeply") from None
    except ValueError as error:  # also whole numbers of over 4300 digits
        raise PlainDataError(str(error)) from error


def hash_of(content: Mapping[str, Any], hash_name: str) -> str:
    """Return the hash of plain data, which tells whether a file was changed after it was written.

    Neither the order of the entries nor spaces between them matter.

    Args:
        content: The data, with or without their hash.
        hash_name: Name of the entry for the hash, which is left out.
    """
    hashed = {name: value for name, value in content.items() if name != hash_name}
    plain = json.loads(json.dumps(hashed))  # names are text now, as in the file
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_yaml(path: Path) -> Any:
    """Read a YAML file (UTF-8) of plain data.

    Raises:
        OSError: The file cannot be read.
        InputError: It is a pipe or device.
        PlainDataError: As :func:`parse_yaml`.
    """
    return parse_yaml(_text(path, 4 * YAML_CHARACTERS))


def parse_yaml(text: str) -> Any:
    """Read YAML of plain data; a table's key must not occur twice.

    Raises:
        PlainDataError: The text is no YAML, has tags for other than plain data, or is too long, too
            deeply nested, or too large once its aliases are filled in.
    """
    if len(text) > YAML_CHARACTERS:
        raise PlainDataError(f"over {YAML_CHARACTERS} characters")
    try:
        # 1. Events come without recursion; they show the depth before a recursive reader sees it.
        depth = values = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            values += isinstance(event, yaml.NodeEvent)
            _check_size(depth, values)
        loader = _UniqueKeyLoader(text)
        try:
            # 2. Nodes share what aliases repeat, so that counting them is cheap.
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(depth, _values(node, {}))
            # 3. The values.
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise PlainDataError(_in_a_line(error)) from error
    except PlainDataError:
        raise
    # PyYAML raises these for values that do not fit their tags, such as a date 2026-99-99.
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PlainDataError(f"a value does not fit its type ({error})") from error


def is_whole_number(word: str) -> bool:
    """Return whether a word is a whole number from 0 to 999999999, as ids and counts are.

    Python itself refuses to read longer ones, and reads digits of any script.
    """
    return word.isascii() and word.isdecimal() and len(word) <= 9


def parse_xml(content: bytes) -> ElementTree.Element:
    """Read XML without a document type, which could define entities that expand without end.

    Raises:
        PlainDataError: It is no XML, or has a document type.
    """
    try:
        return ElementTree.fromstring(content, ElementTree.XMLParser(target=_WithoutDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # of unknown encodings
        raise PlainDataError(f"no XML ({error})") from error


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> None:
        raise PlainDataError("its XML has a document type")


def validated(validate: Callable[[Any], T], data: Any) -> T:
    """Return plain data as the type that it should have.

    Args:
        validate: Makes a value of the type, as :func:`validator` returns it.
        data: As read from a file.

    Raises:
        PlainDataError: A value is missing, unknown, of another type or out of its range.
    """
    try:
        return validate(data)
    except ValidationError as error:
        where, what = first_problem(error)
        raise PlainDataError(": ".join(filter(None, (where, what)))) from error


def validator(kind: type[T]) -> Callable[[Any], T]:
    """Return the function that makes a value of a type from plain data.

    Pydantic prepares it when it is needed first, not when a module is imported: that would take
    much of the time in which a command starts.

    Args:
        kind: The type, such as a dataclass. The function raises
            :class:`pydantic.ValidationError`.
    """
    return cast("Callable[[Any], T]", _prepared(cast(Any, kind)))


@cache
def _prepared(kind: type) -> Callable[[Any], Any]:
    return TypeAdapter(kind).validate_python


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Return where the first wrong value is, such as ``hearts.0.name``, and what is wrong with it.

    Args:
        error: Of a validation by pydantic.
    """
    first = error.errors()[0]
    where = ".".join(str(key) for key in first["loc"])
    said = _SAID.get(first["type"])
    if said is None:
        return where, first["msg"].removeprefix("Value error, ")
    what = said.format(**first.get("ctx", {}))
    if first["type"] == "literal_error":
        near = nearest(str(first["input"]), _QUOTED.findall(what))
        what += f"; {one_of(near)}" if near else ""
    return where, what


_QUOTED = re.compile(r"'([^']*)'")
"""The words that pydantic lists."""

_WHOLE, _NUMBER = "must be a whole number", "must be a number"
_SAID = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_parsing", "float_type"), _NUMBER),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "finite_number": "must be finite",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "missing": "is missing",
    **dict.fromkeys(("extra_forbidden", "unexpected_keyword_argument"), "is unknown"),
    **dict.fromkeys(("dict_type", "dataclass_type"), "must be a table"),
}
"""Type of pydantic's errors → what is wrong, in our words."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the table; of a key with two values, Python's reader would take the later one.

    Raises:
        PlainDataError: A key has two values.
    """
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table and table[key] != value:
            raise PlainDataError(
                f"{key!r} is both {table[key]!r} and {value!r}; remove one of the two"
            )
        table[key] = value
    return table


def _text(path: Path, most: int) -> str:
    check_no_device(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise PlainDataError(f"over {most} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlainDataError(f"no text in UTF-8 ({error.reason} at byte {error.start})") from error


def _in_a_line(error: yaml.YAMLError) -> str:
    """Return where a text is no YAML, and why; PyYAML's own message has several lines."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    what = ", ".join(filter(None, (getattr(error, "context", ""), getattr(error, "problem", ""))))
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}"


def _check_size(depth: int, values: int) -> None:
    if depth > DEPTH:
        raise PlainDataError(f"nested over {DEPTH} deep")
    if values > YAML_VALUES:
        raise PlainDataError(f"over {YAML_VALUES} values, counting those that aliases repeat")


def _values(node: yaml.Node, counted: dict[int, int | None]) -> int:
    """Count the values of a node, those of aliases again; at most ``DEPTH`` calls deep.

    Args:
        node: The node.
        counted: Identity of a node → its number of values; None while it is being counted.

    Raises:
        PlainDataError: A node contains itself.
    """
    if id(node) in counted:
        found = counted[id(node)]
        if found is None:
            raise PlainDataError("an alias stands for what contains it")
        return found
    counted[id(node)] = None
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    counted[id(node)] = total = 1 + sum(_values(child, counted) for child in children)
    return total


# libyaml's is ten times as fast; PyYAML can be built without it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_Loader):  # type: ignore[misc]
    """Reject what the loader would silently change, or take long over.

    Of a table with a key twice, YAML would keep the last value. Numbers of many digits take time
    that grows with their square, and most of them cannot be shown in a message.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        table: dict[Any, Any] = super().construct_mapping(node, deep)
        found: set[Any] = set()
        for key_node, _ in node.value if len(table) < len(node.value) else ():
            key = self.construct_object(key_node)
            if key in found:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key!r:.80} in this table", key_node.start_mark
                )
            found.add(key)
        return table

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        _check_digits(node)
        number: int = super().construct_yaml_int(node)
        return number

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        _check_digits(node)
        number: float = super().construct_yaml_float(node)
        return number


for _tag in ("int", "float"):
    _UniqueKeyLoader.add_constructor(
        f"tag:yaml.org,2002:{_tag}", getattr(_UniqueKeyLoader, f"construct_yaml_{_tag}")
    )


def _check_digits(node: yaml.ScalarNode) -> None:
    if len(str(node.value)) > NUMBER_DIGITS:
        raise yaml.constructor.ConstructorError(
            None, None, f"a number of over {NUMBER_DIGITS} digits", node.start_mark
        )
