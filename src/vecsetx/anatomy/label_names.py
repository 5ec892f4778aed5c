"""Label names: what a file itself says that its ids mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import (
    find_structure,
    is_other_organ,
    similar_structures,
    structure_names,
)
from vecsetx.errors import InputError

__all__ = ["NAMES_PREFIX", "LabelNames"]

NAMES_PREFIX = "names-"
"""Of the names of label sets that files' own names make; a hash of these follows."""

_BACKGROUND = {"background", "clear label", "exterior", "unlabeled", "unlabelled"}


@dataclass(frozen=True, slots=True)
class LabelNames:
    """The names that a file gives its ids.

    Attributes:
        names: Id in the label map → name as the file spells it.
        source: Where the names stand, for messages, such as ``heart.seg.nrrd: its segments``.
    """

    names: Mapping[int, str]
    source: str

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[int, str]], source: str) -> LabelNames:
        """Gather the names of a table.

        Raises:
            InputError: Two ids have the name of the same structure, or an id has two names.
        """
        names: dict[int, str] = {}
        first: dict[str, int] = {}
        for label_id, written in pairs:
            word = " ".join(written.split())
            if names.get(label_id, word) != word:
                raise InputError(
                    f"{source} call id {label_id} both {names[label_id]!r} and {word!r}; give each "
                    "id one name"
                )
            is_structure = find_structure(word) is not None
            if is_structure and first.setdefault(word.lower(), label_id) != label_id:
                raise InputError(
                    f"{source} call both {first[word.lower()]} and {label_id} {word!r}; rename or "
                    "merge one of them"
                )
            names[label_id] = word
        return cls(names, source)

    def structures(self) -> dict[int, str]:
        """Return id → structure for the names that are structures, in the catalogue's order."""
        found = [(label_id, find_structure(word)) for label_id, word in self.names.items()]
        return {i: name for name in structure_names() for i, known in found if i and known == name}

    def background(self) -> list[int]:
        """Return the ids, sorted and without 0, called background or by another organ's name."""
        return sorted(i for i, word in self.names.items() if i and _is_no_structure(word))

    def dropped_by(self, label_set: LabelSet) -> list[int]:
        """Return the ids, sorted, whose names a label set drops.

        Raises:
            InputError: The label set has one of them among its ids.
        """
        dropped = sorted(i for i, word in self.names.items() if i and label_set.drops(word))
        if both := [i for i in dropped if i in label_set.ids or i in label_set.ignore]:
            raise InputError(
                f"{self.source} call id {both[0]} {self.names[both[0]]!r}, a name under 'drop' in "
                f"label set {label_set.name}, which also has the id; remove one of the two from it"
            )
        return dropped

    def label_set(self, present: Iterable[int]) -> LabelSet:
        """Return the label set that the names describe.

        Ids called background or by the name of another organ become background. The label set's
        name follows from its content.

        Args:
            present: Ids in the label map. Names of other ids need not be structures.

        Raises:
            InputError: An id that is present has no name, or one that is no structure.
        """
        ids, background = self.structures(), self.background()
        strange = sorted(set(present) - {0, *ids, *background})
        if strange or not ids:
            raise InputError(self._not_structures(ids, strange))
        digest = hashlib.sha256(json.dumps([*sorted(ids.items()), background]).encode())
        return LabelSet(f"{NAMES_PREFIX}{digest.hexdigest()[:6]}", ids, frozenset(background))

    def contradiction(self, label_set: LabelSet, present: Iterable[int]) -> str | None:
        """Return a remark if the label set gives ids other meanings than the file; else None.

        Args:
            label_set: The label set that is used.
            present: Ids in the label map.
        """
        own = self._meanings()
        differing = [i for i in sorted(present) if i in own and label_set.ids.get(i) != own[i]]
        if not differing:
            return None
        said = ", ".join(f"{i} {self.names[i]}" for i in differing)
        read = ", ".join(f"{i} {label_set.ids.get(i, 'background')}" for i in differing)
        return (
            f"{self.source} say {said}, but label set {label_set.name} says {read}, which was "
            "used; to read the names, leave --labels out, or write them into --labels FILE.yaml"
        )

    def contradiction_by(self, other: LabelNames) -> str | None:
        """Return a remark if other names for the same ids, which are not used, differ; else None.

        Args:
            other: The other names.
        """
        own, theirs = self._meanings(), other._meanings()
        differing = [i for i in sorted(own.keys() & theirs.keys()) if own[i] != theirs[i]]
        if not differing:
            return None
        said = ", ".join(f"{i} {self.names[i]}" for i in differing)
        elsewhere = ", ".join(f"{i} {other.names[i]}" for i in differing)
        return f"{self.source} say {said}, which was used; {other.source} say {elsewhere}"

    def _meanings(self) -> dict[int, str | None]:
        """Return id → structure, or None for what is no structure; unknown names are left out."""
        return {**dict.fromkeys(self.background()), **self.structures()}

    def _not_structures(self, ids: Mapping[int, str], strange: list[int]) -> str:
        """Return what is wrong with names that are no structures, and the YAML to write."""
        meant = {i: found for i in strange if (found := similar_structures(self.names.get(i, "")))}
        what = "; ".join(self._strange(strange, meant)) or "name no structure"
        known = {**ids, **{i: found[0] for i, found in meant.items()}}
        drop = [i for i in strange if i not in known]
        if not known:  # a placeholder, which is no structure either, so that nobody copies a guess
            known, drop = {next(iter(strange), 1): "STRUCTURE"}, strange[1:]
        described = ", ".join(f"{i}: {name}" for i, name in sorted(known.items()))
        rest = f", drop: {drop}" if drop else ""
        first = ", after moving what is part of the heart from drop to ids" if drop else ""
        return (
            f"{self.source} {what}; describe the ids in a file such as labels.yaml and give "
            f"--labels labels.yaml; write the line {{ids: {{{described}}}{rest}}}{first}"
        )

    def _strange(self, ids: list[int], meant: Mapping[int, list[str]]) -> Iterator[str]:
        if named := [i for i in ids if i in self.names]:
            words = ", ".join(f"{i} {self.names[i]!r}" for i in named)
            guesses = ", ".join(f"{i} {' or '.join(found)}" for i, found in meant.items())
            perhaps = f" (perhaps {guesses})" if guesses else ""
            yield f"include some that are no structures: {words}{perhaps}"
        if nameless := ", ".join(str(i) for i in ids if i not in self.names):
            yield f"have no name for {nameless}, which the file holds"


def _is_no_structure(word: str) -> bool:
    """Whether a name is known, and that of no structure: background or another organ."""
    return word.lower() in _BACKGROUND or (is_other_organ(word) and not find_structure(word))
