"""Names of structures, held against anatomy before a heart is used."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set, label_set_names
from vecsetx.anatomy.plausibility import STRUCTURES, Contradictions, contradictions
from vecsetx.anatomy.structures import structure
from vecsetx.errors import NamesError

__all__ = ["check_file_names", "check_ids"]

_LEAST_FACING = 0.15
"""Share of the LV's surface that faces the myocardium: at least 0.79 in 67 real hearts, and 0.32 in
1654 cuts of them in which both have 5 ml (docs/lab-log.md, 2026-11-30)."""

_LEAST_ML = 5.0
"""Volume of LV and myocardium whose contact tells something."""

_MIRRORED = "mend the file's axes, one of which has the wrong sign"


def check_ids(
    label_map: LabelMap, raw: LabelMap, named: LabelSet, path: Path, trust: bool
) -> LabelMap:
    """Hold what a label map's ids stand for against anatomy.

    Args:
        label_map: The label map in structures' labels.
        raw: The same with the file's ids.
        named: What the ids stand for.
        path: The file, for the message.
        trust: Whether the user has confirmed the names.

    Returns:
        The label map; with a remark if its names are trusted although anatomy contradicts them. A
        map whose file gives no orientation is mirrored if anatomy shows that it has to be.

    Raises:
        NamesError: Anatomy contradicts the names, and they are not trusted.
    """
    contacts = Contacts.of(raw)
    found = contradictions(contacts, named.ids)
    read_as = f" from label set {named.name}"
    if found is None:
        if large := _too_large(contacts, named.ids):
            remedy = "is this another organ, such as a liver? Name the label set that is meant"
            return _told(label_map, large, remedy, path, trust, read_as, unusual="")
        return label_map.remarked(_lv_apart(contacts, named.ids))
    if found.mirrored and raw.sides_guessed:
        return _mirrored(label_map)
    remedy = _MIRRORED if found.mirrored else _label_set_that_fits(found, contacts.ids, named)
    return _told(label_map, found.broken, remedy, path, trust, read_as)


def check_file_names(
    label_map: LabelMap, structures: Sequence[str], path: Path, trust: bool
) -> LabelMap:
    """Hold the names of a folder's files against anatomy.

    Args:
        label_map: The files as one label map, with labels 1…K in the order of ``structures``.
        structures: Names of the K structures.
        path: The folder, for the message.
        trust: Whether the user has confirmed the names.

    Returns:
        As :func:`check_ids`.

    Raises:
        InputError: As :func:`check_ids`.
    """
    names = dict(enumerate(structures, start=1))
    contacts = Contacts.of(label_map)
    found = contradictions(contacts, names)
    if found is None:
        if large := _too_large(contacts, names):
            remedy = "is this another organ, such as a liver? Move its file away, or rename it"
            return _told(label_map, large, remedy, path, trust, unusual="")
        return label_map.remarked(_lv_apart(contacts, names))
    if found.mirrored and label_map.sides_guessed:
        return _mirrored(label_map)
    moved = [f"{names[k]} to {new}" for k, new in found.best.items() if names[k] != new]
    remedy = _MIRRORED if found.mirrored else f"rename {', '.join(moved)}, which fit best"
    return _told(label_map, found.broken, remedy, path, trust)


def _too_large(contacts: Contacts, names: Mapping[int, str]) -> tuple[str, ...]:
    """Return what is too large for any heart, as clauses: another organ under this name."""
    volume_ml: dict[str, float] = {}
    for index, label_id in enumerate(contacts.ids, start=1):
        if name := names.get(label_id):
            volume_ml[name] = volume_ml.get(name, 0.0) + float(contacts.volume_ml[index])
    return tuple(
        f"the {name} holds {ml:.0f} ml, and no heart's {name} more than {most:g} ml"
        for name, ml in volume_ml.items()
        if ml > (most := structure(name).most_ml)
    )


def _lv_apart(contacts: Contacts, names: Mapping[int, str]) -> tuple[str, ...]:
    """Return a remark on an LV that does not lie within the myocardium."""
    rows = {
        wanted: [row for row, i in enumerate(contacts.ids, start=1) if names.get(i) == wanted]
        for wanted in ("LV", "Myocardium")
    }
    if min(contacts.volume_ml[own].sum() for own in rows.values()) < _LEAST_ML:
        return ()
    facing_mm2 = contacts.area_mm2[np.ix_(rows["LV"], rows["Myocardium"])].sum()
    all_mm2 = contacts.area_mm2[rows["LV"]].sum()  # 0 where it fills the scan
    if facing_mm2 >= _LEAST_FACING * all_mm2:
        return ()
    share = float(facing_mm2 / all_mm2)
    return (
        f"{share:.0%} of the LV's surface faces the Myocardium, and over 30% in all known hearts, "
        "cut or whole: look whether both names are right",
    )


def _mirrored(label_map: LabelMap) -> LabelMap:
    return label_map.mirrored().remarked(
        ["anatomy shows that the sides guessed are exchanged, so R and L were exchanged"]
    )


def _told(
    label_map: LabelMap,
    broken: Sequence[str],
    remedy: str,
    path: Path,
    trust: bool,
    read_as: str = "",
    unusual: str = ", as for transposed great arteries or situs inversus",
) -> LabelMap:
    seen = "; ".join(broken)
    if trust:
        remark = f"the structures' names are trusted although anatomy contradicts them: {seen}"
        return replace(label_map, remarks=(*label_map.remarks, remark))
    raise NamesError(
        f"{path}: anatomy contradicts the structures' names{read_as}: {seen}; {remedy}, or "
        f"confirm the names with --trust-names{unusual}"
    )


def _label_set_that_fits(found: Contradictions, present: Sequence[int], before: LabelSet) -> str:
    """Say which label set to use instead: a named one, or the text of a YAML file."""
    best = dict(found.best)
    kept = {i: name for i in present if (name := before.ids.get(i)) and name not in STRUCTURES}
    ids = {**{i: name for i, name in kept.items() if name not in best.values()}, **best}
    fitting = "the names that fit best are " + ", ".join(f"{i} {best[i]}" for i in sorted(best))
    for name in label_set_names():
        other = label_set(name)
        if {i: other.ids.get(i) for i in present} == ids and not other.drop_others:
            return f"{fitting}: use --labels {name}"
    table = ", ".join(f"{i}: {ids[i]}" for i in sorted(ids))
    drop = sorted(set(present) - ids.keys())
    rest = f", drop: {drop}" if drop else ""
    return f"{fitting}: use --labels FILE.yaml with {{ids: {{{table}}}{rest}}}"
