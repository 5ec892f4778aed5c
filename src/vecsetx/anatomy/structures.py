"""Structures of the heart and the label sets that number them.

A *structure* is a named part of the heart. A *label set* says which id in a label map means which
structure; data sets differ in this, and an id alone is never a definition. The numbers of the
named label sets stand in ``label_sets.yaml`` beside this file, and users may bring a YAML file of
the same form.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from vecsetx.errors import InputError


@dataclass(frozen=True, slots=True)
class Structure:
    """One part of the heart.

    Attributes:
        name: Short name, as used on the command line and in every file.
        title: The name in full.
        color: Display colour, red, green and blue in 0…255.
        vessel: Whether it is a vessel, which has a centreline to score.
    """

    name: str
    title: str
    color: tuple[int, int, int]
    vessel: bool = False


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Which id means which structure in a data set's label maps.

    Attributes:
        name: The label set's name.
        ids: Id in the label map → structure name; several ids may share a structure. 0 is
            background.
        drop: Ids that are known and left out on purpose (they become background).
        drop_others: Whether ids named nowhere are left out too, instead of being an error.
    """

    name: str
    ids: Mapping[int, str]
    drop: frozenset[int] = frozenset()
    drop_others: bool = False

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures, in the order in which the ids first name them."""
        return tuple(dict.fromkeys(self.ids.values()))

    def id_of(self, structure: str) -> int:
        """The (first) id that means ``structure``. Raises :class:`InputError` if there is none."""
        for label_id, name in self.ids.items():
            if name == structure:
                return label_id
        raise InputError(f"label set {self.name}: no id means {structure}")

    def unknown(self, ids: Iterable[int]) -> list[int]:
        """Those of ``ids`` that this label set does not know (0 is always known)."""
        if self.drop_others:
            return []
        return sorted(i for i in ids if i != 0 and i not in self.ids and i not in self.drop)

    def structure_called(self, word: str) -> str | None:
        """The structure of this label set that a file name or a table calls ``word``.

        Returns:
            The structure's name; None for what ``drop_others`` leaves out.

        Raises:
            InputError: Nothing known is called so, or nothing of this label set.
        """
        name = find_structure(word)
        if name in self.structures:
            return name
        if self.drop_others:
            return None
        if name is None:
            raise InputError(f"no structure is called {word!r}; {_suggest_structure(word)}")
        raise InputError(
            f"{name} is not in label set {self.name}, which has {', '.join(self.structures)}; "
            f"choose another with --labels{label_set_hint([name], others=False)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, in the form of the YAML files; :meth:`from_dict` reads it back.

        So it does after a way through JSON, which makes words of the ids.
        """
        return {
            "name": self.name,
            "ids": {str(label_id): name for label_id, name in self.ids.items()},
            "drop": sorted(self.drop),
            "drop_others": self.drop_others,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str) -> LabelSet:
        """Read a label set from plain data; ``source`` (a file, say) is named in errors.

        Raises:
            InputError: Something is missing, of the wrong kind, or names no known structure.
        """
        entries = data.get("ids")
        if not isinstance(entries, Mapping) or not entries:
            raise InputError(
                f"{source}: a label set needs 'ids', a table such as {{1: LV, 2: Myocardium}}"
            )
        if strange := [key for key in data if key not in ("name", "ids", "drop", "drop_others")]:
            raise InputError(
                f"{source}: a label set has no {strange}; it has name, ids, drop and drop_others"
            )
        ids = {_whole_id(key, source): _known_name(name, source) for key, name in entries.items()}
        if 0 in ids:
            raise InputError(f"{source}: id 0 is always background and cannot be {ids[0]}")
        dropped, drop_others = data.get("drop") or [], data.get("drop_others", False)
        if not isinstance(dropped, list):
            raise InputError(f"{source}: 'drop' is a list of ids such as [7, 8], not {dropped!r}")
        if not isinstance(drop_others, bool):
            raise InputError(f"{source}: 'drop_others' is true or false, not {drop_others!r}")
        drop = frozenset(_whole_id(key, source) for key in dropped)
        if both := sorted(drop & ids.keys()):
            raise InputError(
                f"{source}: ids {both} are both named and dropped; keep one of the two"
            )
        name = str(data.get("name") or Path(source).stem)
        return cls(name, ids, drop, drop_others)


def structure(name: str) -> Structure:
    """The structure of that name, title or alias.

    Raises:
        InputError: No structure is called so; the nearest known ones are suggested.
    """
    found = find_structure(name)
    if found is None:
        raise InputError(f"no structure is called {name!r}; {_suggest_structure(name)}")
    return _catalogue()[found]


def find_structure(word: str) -> str | None:
    """The name of the structure called ``word`` (its name, title or an alias), or None.

    Case, spaces and the signs ``-``, ``_`` and ``.`` do not count.
    """
    return _words().get(_plain(word))


def parse_names(names: str, among: Iterable[str]) -> tuple[str, ...]:
    """Parse comma-separated structure names or aliases, as given on the command line.

    Args:
        names: For example ``"laa,pv"``.
        among: The structure names to choose from.

    Returns:
        The names in the order of ``among``.

    Raises:
        InputError: A name is none of ``among``; near ones are suggested.
    """
    among = tuple(among)
    known = {name.lower(): name for name in among}
    chosen = set()
    for word in (part.strip() for part in names.split(",") if part.strip()):
        name = known.get(word.lower()) or find_structure(word)
        if name not in among:
            raise InputError(f"no structure here is called {word!r}; {_suggest(word, list(among))}")
        chosen.add(name)
    return tuple(name for name in among if name in chosen)


def label_set(name_or_file: str) -> LabelSet:
    """The label set of that name, or the one in a YAML file.

    Raises:
        InputError: Neither a known name nor a readable file of the right form.
    """
    named = _named_label_sets()
    if name_or_file in named:
        return LabelSet.from_dict(
            {"name": name_or_file, **named[name_or_file]}, f"label set {name_or_file}"
        )
    path = Path(name_or_file)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(
            f"no label set is called {name_or_file!r}; {_suggest(name_or_file, list(named))}, "
            "or give a YAML file"
        )
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _NoKeyTwice)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as a label set: {error}") from error
    if not isinstance(data, Mapping):
        raise InputError(f"{path}: a label set is a table with 'ids', such as {{ids: {{1: LV}}}}")
    return LabelSet.from_dict(data, str(path))


def structure_names() -> tuple[str, ...]:
    """Names of all structures that VecSetX knows."""
    return tuple(_catalogue())


def label_set_names() -> tuple[str, ...]:
    """Names of the label sets that need no file."""
    return tuple(_named_label_sets())


def label_set_hint(names: Iterable[str], others: bool) -> str:
    """`` NAME`` of the named label sets that have all structures ``names``, for error messages.

    Args:
        names: Structure names.
        others: Whether the label set has to leave out what it does not know.

    Returns:
        Words that continue "--labels", with a space before them; `` FILE.yaml`` if none fits.
    """
    known = [label_set(name) for name in label_set_names()]
    wanted = set(names)
    fitting = [s.name for s in known if wanted <= set(s.structures) and s.drop_others >= others]
    return f" {' or '.join(fitting or ['FILE.yaml'])}"


def label_sets_of_ids(ids: Iterable[int]) -> tuple[str, ...]:
    """The named label sets that a label map with these ids may be of, for error messages.

    Those that know every id; if there are none, those that leave others out and know at least half
    of their own ids among them.
    """
    found = set(ids) - {0}
    known = [label_set(name) for name in label_set_names()]
    exact = [s.name for s in known if not s.drop_others and not s.unknown(found)]
    within = [
        s.name for s in known if s.drop_others and 2 * len(found & s.ids.keys()) >= len(s.ids)
    ]
    return tuple(exact or within)


def _whole_id(key: Any, source: str) -> int:
    if isinstance(key, str) and key.isdecimal():  # JSON has no other keys
        return int(key)
    if isinstance(key, bool) or not isinstance(key, int) or key < 0:
        raise InputError(f"{source}: {key!r} is no id; ids are whole numbers from 0 up")
    return key


def _known_name(name: Any, source: str) -> str:
    try:
        return structure(str(name)).name
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


class _NoKeyTwice(yaml.SafeLoader):
    """Refuses a table with a key twice, of which YAML would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        table = super().construct_mapping(node, deep)
        if len(table) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key stands here twice", node.start_mark
            )
        return table


def _plain(word: str) -> str:
    return re.sub(r"[-_. ]", "", str(word)).lower()


def _suggest_structure(word: str) -> str:
    near = difflib.get_close_matches(_plain(word), list(_words()), n=4, cutoff=0.6)
    if names := list(dict.fromkeys(_words()[entry] for entry in near))[:2]:
        return "did you mean " + " or ".join(f"{n} ({_catalogue()[n].title})" for n in names) + "?"
    return "known are " + ", ".join(_catalogue())


def _suggest(name: str, known: list[str]) -> str:
    lower = {entry.lower(): entry for entry in known}
    near = difflib.get_close_matches(str(name).lower(), list(lower), n=2, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(lower[entry] for entry in near) + "?"
    return "known are " + ", ".join(known)


@cache
def _tables() -> dict[str, Any]:
    text = resources.files("vecsetx.anatomy").joinpath("label_sets.yaml").read_text("utf-8")
    tables: dict[str, Any] = yaml.safe_load(text)
    return tables


@cache
def _catalogue() -> dict[str, Structure]:
    return {
        name: Structure(name, entry["title"], tuple(entry["color"]), entry.get("vessel", False))
        for name, entry in _tables()["structures"].items()
    }


@cache
def _words() -> dict[str, str]:
    """Every word for a structure, in its plain form → the structure's name."""
    return {
        _plain(word): name
        for name, entry in _tables()["structures"].items()
        for word in (name, entry["title"], *entry.get("aliases", ()))
    }


def _named_label_sets() -> dict[str, Any]:
    named: dict[str, Any] = _tables()["label_sets"]
    return named
