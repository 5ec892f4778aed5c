"""Which label set a label map has: what the file says, or what its ids and anatomy fit."""

import math
from pathlib import Path

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_names import LabelNames
from vecsetx.anatomy.label_sets import LabelSet, label_set, label_sets_of_ids
from vecsetx.anatomy.plausibility import LEAST_SIMILARITY, fit
from vecsetx.anatomy.structures import find_structure
from vecsetx.errors import InputError
from vecsetx.formats.folders import stem

__all__ = ["label_set_of"]

_CLEARLY_BETTER = 0.1
"""Lead in :func:`~vecsetx.anatomy.plausibility.fit` that decides between label sets."""


def label_set_of(
    label_map: LabelMap, usual: LabelSet, of_model: bool, path: Path
) -> tuple[LabelSet, tuple[str, ...]]:
    """Find the label set of a label map for which the user chose none.

    1. If the file names its ids, the names decide.
    2. Otherwise the label set that fits the ids decides: the usual one, or one with a name.
    3. If several fit that mean different structures, and the file has a single id and is named
       after a structure, it is this structure.
    4. Otherwise the one decides whose structures lie as in a heart. Where that cannot be told, a
       model's own label set is taken.

    Args:
        label_map: The map with its ids as stored.
        usual: The label set to prefer among those that mean the same: ``default`` or a model's own.
        of_model: Whether it is a model's own, which is also taken where anatomy cannot decide.
        path: The file.

    Returns:
        The label set, and remarks on the choice.

    Raises:
        InputError: A name is no structure, or several label sets fit between which anatomy cannot
            decide.
    """
    present = label_map.present()
    if label_map.names:
        return label_map.names.label_set(present), ()
    fitting = _fitting(present, usual)
    if not fitting:
        return usual, ()  # which says what is wrong when the map is read with it
    meanings: dict[tuple[str | None, ...], LabelSet] = {}
    for one in fitting:
        meanings.setdefault(tuple(one.ids.get(label_id) for label_id in present), one)
    if len(meanings) > 1:
        if len(present) == 1 and (name := find_structure(stem(path))):
            names = LabelNames({present[0]: name}, f"{path}: its name")
            return names.label_set(present), (
                f"its only id was read as {name}, after the file's name",
            )
        candidates = list(meanings.values())
        return _by_anatomy(candidates, label_map, present, path, usual if of_model else None)
    chosen = fitting[0]
    remark = f"its ids fit label set {chosen.name}, which was used"
    return chosen, () if chosen == usual else (remark,)


def _fitting(present: list[int], usual: LabelSet) -> list[LabelSet]:
    """Return the label sets that fit the ids, the usual one first."""
    named = [label_set(name) for name in label_sets_of_ids(present)]
    fits = not usual.unknown(present) and bool(usual.ids.keys() & set(present))
    return ([usual] if fits else []) + [one for one in named if one != usual]


def _by_anatomy(
    candidates: list[LabelSet],
    label_map: LabelMap,
    present: list[int],
    path: Path,
    of_model: LabelSet | None,
) -> tuple[LabelSet, tuple[str, ...]]:
    contacts = Contacts.of(label_map)
    scores = {one.name: fit(contacts, one.ids) for one in candidates}
    scores = {name: -math.inf if math.isnan(score) else score for name, score in scores.items()}
    first, second = sorted(candidates, key=lambda one: -scores[one.name])[:2]
    differing = [i for i in present if len({one.ids.get(i) for one in candidates}) > 1]
    told = {one.name: _meaning(one, differing) for one in candidates}
    is_heart = scores[first.name] >= LEAST_SIMILARITY
    if not (is_heart and scores[first.name] - scores[second.name] > _CLEARLY_BETTER):
        if of_model in candidates:
            said = f"{of_model.name} ({told[of_model.name]}), the model's own"
            return of_model, (f"its ids were read with label set {said}",)
        if_mask = ", or name the file after its structure if it is a mask"
        raise InputError(
            f"{path}: its ids mean different structures in label sets "
            + "; ".join(f"{name} ({words})" for name, words in told.items())
            + ", and anatomy cannot tell which: choose one with --labels NAME"
            + (if_mask if len(present) == 1 else "")
        )
    others = ", ".join(one.name for one in candidates if one is not first)
    return first, (
        f"its ids fit label sets {first.name}, {others}; by anatomy they are those of "
        f"{first.name} ({told[first.name]})",
    )


def _meaning(label_set: LabelSet, ids: list[int]) -> str:
    """Say which of some ids are which structures, and whether others are none."""
    known = [i for i in ids if i in label_set.ids]
    words = [f"{i} {label_set.ids[i]}" for i in known]
    return ", ".join([*words, "others are none"] if len(known) < len(ids) else words)
