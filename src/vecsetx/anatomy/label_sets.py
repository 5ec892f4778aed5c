"""Label sets: which id in a data set's label maps means which structure.

Data sets number the structures differently, so that an id alone never identifies a structure. The
named label sets are listed in ``label_sets.yaml`` beside this file. Users can describe their own in
a YAML file of the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import combinations, count, islice
from pathlib import Path
from typing import Any

from vecsetx.anatomy.structures import (
    find_structure,
    normalized,
    structure,
    structure_names,
)
from vecsetx.errors import InputError
from vecsetx.manifest.recording import note_files
from vecsetx.plain_data import PlainDataError, is_whole_number, parse_yaml, read_yaml
from vecsetx.suggestions import did_you_mean, shown, unknown

_LARGEST_ID = 65535  # of uint16, in which label maps are kept
_KEYS = ("name", "ids", "drop", "drop_others", "ignore")


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Which id means which structure in a data set's label maps.

    Attributes:
        name: The label set's name.
        ids: Id in the label map → structure name; several ids may share a structure. 0 is
            background.
        drop: Known ids that become background.
        drop_names: Names that become background, too: of mask and mesh files, and of labels that a
            file itself names. Matching is as for structures.
        drop_others: Whether ids that are neither in ``ids`` nor in ``drop`` become background too,
            instead of being an error.
        ignore: Ids of unknown voxels, which may belong to any structure or to none.
    """

    name: str
    ids: Mapping[int, str]
    drop: frozenset[int] = frozenset()
    drop_others: bool = False
    ignore: frozenset[int] = frozenset()
    drop_names: frozenset[str] = frozenset()

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures, in the order of their first ids in ``ids``."""
        return tuple(dict.fromkeys(self.ids.values()))

    def id_of(self, structure: str) -> int:
        """Return the (first) id of ``structure``.

        Raises:
            InputError: The label set has no id for it.
        """
        for label_id, name in self.ids.items():
            if name == structure:
                return label_id
        raise InputError(f"label set {self.name} has no id for {structure}")

    def with_structures_of(self, other: LabelSet) -> LabelSet:
        """Return this label set, with ids for the structures that only the other one has.

        They get the other's ids, or, if one of these may mean something else here, free ones: the
        lowest, or from 1001 where this label set leaves out all ids that it does not know.
        """
        added = [name for name in other.structures if name not in self.structures]
        ids = [other.id_of(name) for name in added]
        taken = self.ids.keys() | self.drop | self.ignore
        if self.drop_others or taken & set(ids):
            free = (i for i in count(1001 if self.drop_others else 1) if i not in taken)
            ids = list(islice(free, len(added)))
        return replace(self, ids={**self.ids, **dict(zip(ids, added, strict=True))})

    def unknown(self, ids: Iterable[int]) -> list[int]:
        """Return those of ``ids`` that this label set does not know (0 is always known)."""
        if self.drop_others:
            return []
        known = {0} | self.ids.keys() | self.drop | self.ignore
        return sorted(i for i in ids if i not in known)

    def drops(self, word: str) -> bool:
        """Return whether ``drop_names`` has a word; case, spaces and ``-_.`` are ignored."""
        return normalized(word) in map(normalized, self.drop_names)

    def structure_named(self, word: str) -> str | None:
        """Return the structure of this label set that ``word`` names.

        Args:
            word: A structure's name, title or alias, for example from a file name or a table.

        Returns:
            The structure's name; None for one that ``drop_names`` or ``drop_others`` leaves out.

        Raises:
            InputError: No structure has this name, or this label set has no such structure.
        """
        name = find_structure(word)
        if name in self.structures:
            return name
        if self.drop_others or self.drops(word):
            return None
        name = structure(word).name  # raises if no structure has this name
        raise InputError(
            f"{name} is not in label set {self.name}, which has {', '.join(self.structures)}; "
            f"choose another with --labels{label_set_hint([name], others=False)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data in the form of the YAML files; :meth:`from_dict` reads it back.

        The ids are strings, so that the data survives a round trip through JSON.
        """
        data = {
            "name": self.name,
            "ids": {str(label_id): name for label_id, name in self.ids.items()},
            "drop": [*sorted(self.drop), *sorted(self.drop_names)],
            "drop_others": self.drop_others,
        }
        # Without such ids the data is that of earlier versions, which did not know the key.
        return data | ({"ignore": sorted(self.ignore)} if self.ignore else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str) -> LabelSet:
        """Read a label set from plain data.

        Args:
            data: Keys ``ids`` and optionally ``name``, ``drop``, ``drop_others`` and ``ignore``.
            source: Where the data comes from (such as a file), for error messages.

        Raises:
            InputError: A key is missing, unknown or has a value of the wrong type, or a structure
                is unknown.
        """
        entries = data.get("ids")
        if not isinstance(entries, Mapping) or not entries:
            raise InputError(
                f"{source}: a label set needs 'ids', a table such as {{1: LV, 2: Myocardium}}"
            )
        if strange := [key for key in data if key not in _KEYS]:
            raise InputError(f"{source}: {unknown('key of a label set', strange[0], _KEYS)}")
        ids = {_whole_id(key, source): _known_name(name, source) for key, name in entries.items()}
        if 0 in ids:
            raise InputError(f"{source}: id 0 is always background and cannot be {ids[0]}")
        drop_others = data.get("drop_others", False)
        if not isinstance(drop_others, bool):
            raise InputError(f"{source}: 'drop_others' must be true or false, not {drop_others!r}")
        drop, names = _drop(data, source)
        ignore = _ids_of(_listed(data, "ignore", "ids such as [254, 255]", source), source)
        if 0 in ignore:
            raise InputError(f"{source}: id 0 is always background; remove it from 'ignore'")
        for (one, its), (other, theirs) in combinations(
            (("ids", ids.keys()), ("drop", drop), ("ignore", ignore)), 2
        ):
            if both := sorted(its & theirs):
                raise InputError(
                    f"{source}: ids {both} are in both '{one}' and '{other}'; remove them from "
                    "one of the two"
                )
        if words := sorted(word for word in names if find_structure(word) in ids.values()):
            raise InputError(
                f"{source}: {', '.join(words)}: in both 'ids' and 'drop'; remove it from one "
                "of the two"
            )
        name = str(data.get("name") or Path(source).stem)
        return cls(name, ids, drop, drop_others, ignore, names)


def label_set(name_or_file: str) -> LabelSet:
    """Return the label set with the given name, in any case, or read one from a YAML file.

    Raises:
        InputError: The argument is neither a known name nor a readable file of the right form.
    """
    named = _named_label_sets()
    if entry := named.get(name := name_or_file.lower()):
        data = {key: value for key, value in entry.items() if key in _KEYS}
        return LabelSet.from_dict({"name": name, **data}, f"label set {name}")
    path = Path(name_or_file)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(
            f"unknown label set {shown(name_or_file)}; vecsetx labels lists the label sets, and a "
            f"YAML file describes your own; {did_you_mean(name_or_file, named)}"
        )
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; give --labels {', '.join(named)}, or a YAML file such as "
            "{ids: {1: LV, 2: Myocardium}}"
        )
    note_files(lambda: [path])
    try:
        data = read_yaml(path)
    except (OSError, PlainDataError) as error:
        raise InputError(f"{path}: cannot be read as a label set: {error}") from error
    if not isinstance(data, Mapping):
        raise InputError(f"{path}: a label set is a table with 'ids', such as {{ids: {{1: LV}}}}")
    return LabelSet.from_dict(data, str(path))


def label_set_names() -> tuple[str, ...]:
    """Return the names of the label sets that need no file."""
    return tuple(_named_label_sets())


def label_set_purpose(name: str) -> str:
    """Return what a named label set is for; empty for one from a file."""
    entry = _named_label_sets().get(name, {})
    return str(entry.get("about", ""))


def every_structure() -> LabelSet:
    """Return the label set of files that are named after their structures and need no ids.

    It has all structures, under the ids 1, 2, … in the order of :func:`structure_names`.
    """
    return LabelSet("structures", dict(enumerate(structure_names(), 1)))


def label_set_hint(names: Iterable[str], others: bool) -> str:
    """Suggest named label sets that have all the given structures, for error messages.

    Args:
        names: Structure names.
        others: Whether the label set must have ``drop_others``.

    Returns:
        `` NAME or NAME`` to append to "--labels", with a leading space; `` FILE.yaml`` if no named
        label set fits.
    """
    known = [label_set(name) for name in label_set_names()]
    wanted = set(names)
    fitting = [s.name for s in known if wanted <= set(s.structures) and s.drop_others >= others]
    return f" {' or '.join(fitting or ['FILE.yaml'])}"


def label_sets_of_ids(ids: Iterable[int]) -> tuple[str, ...]:
    """Return the named label sets that may describe a label map with these ids.

    These are the label sets that know every id. If there are none, they are those with
    ``drop_others`` of whose own ids at least half are present, if their tool writes ids as high as
    these. Error messages suggest them.
    """
    found = set(ids) - {0}
    known = [label_set(name) for name in label_set_names()]
    exact = [s.name for s in known if not s.drop_others and not s.unknown(found)]
    within = [
        s.name
        for s in known
        if s.drop_others and 2 * len(found & s.ids.keys()) >= len(s.ids)
        if max(found, default=0) <= _named_label_sets()[s.name].get("classes", _LARGEST_ID)
    ]
    return tuple(exact or within)


def _whole_id(key: Any, source: str) -> int:
    if isinstance(key, str) and is_whole_number(key):  # keys of a JSON object are strings
        key = int(key)
    if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key <= _LARGEST_ID:
        raise InputError(
            f"{source}: invalid id {str(key)[:80]!r}; ids are whole numbers from 0 to {_LARGEST_ID}"
        )
    return key


def _drop(data: Mapping[str, Any], source: str) -> tuple[frozenset[int], frozenset[str]]:
    """Return the ids and the names under ``drop``."""
    listed = _listed(data, "drop", "ids and names such as [7, liver]", source)
    names = [one for one in listed if isinstance(one, str) and not is_whole_number(one)]
    ids = _ids_of([one for one in listed if one not in names], source)
    if empty := [word for word in names if not normalized(word)]:
        raise InputError(f"{source}: 'drop' has {empty[0]!r}, which names nothing; remove it")
    return ids, frozenset(names)


def _listed(data: Mapping[str, Any], key: str, what: str, source: str) -> list[Any]:
    listed = data.get(key) or []
    if not isinstance(listed, list):
        raise InputError(f"{source}: '{key}' must be a list of {what}, not {listed!r}")
    return listed


def _ids_of(listed: Iterable[Any], source: str) -> frozenset[int]:
    return frozenset(_whole_id(label_id, source) for label_id in listed)


def _known_name(name: Any, source: str) -> str:
    try:
        return structure(str(name)).name
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


@cache
def _named_label_sets() -> dict[str, Any]:
    text = resources.files("vecsetx.anatomy").joinpath("label_sets.yaml").read_text("utf-8")
    named: dict[str, Any] = parse_yaml(text)
    return named
