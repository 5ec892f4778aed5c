"""Which label set a label map has: what the user said, what the file says, or what its ids fit."""

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set, label_sets_of_ids

__all__ = ["label_set_of"]


def label_set_of(label_map: LabelMap, usual: LabelSet) -> tuple[LabelSet, tuple[str, ...]]:
    """Find the label set of a label map for which the user chose none.

    1. If the file names its ids, the names decide.
    2. Otherwise the label set that fits the ids decides: the usual one, or one with a name. If
       several fit, the usual or the first one is taken, and a remark names those that mean other
       structures.

    Args:
        label_map: The map with its ids as stored.
        usual: The label set to prefer among those that fit: ``default`` or a model's own.

    Returns:
        The label set, and remarks on the choice.

    Raises:
        InputError: A name is no structure.
    """
    present = label_map.present()
    if label_map.names:
        return label_map.names.label_set(present), ()
    fitting = _fitting(present, usual)
    if not fitting:
        return usual, ()  # which says what is wrong when the map is read with it
    chosen = fitting[0]
    others = [one for one in fitting if _meaning(one, present) != _meaning(chosen, present)]
    if others:
        also = "; ".join(f"{one.name} ({_told(one, present)})" for one in others)
        return chosen, (
            f"its ids were read with label set {chosen.name} ({_told(chosen, present)}), but also "
            f"fit {also}: choose one with --labels NAME",
        )
    if chosen == usual:
        return chosen, ()
    return chosen, (f"its ids fit label set {chosen.name}, which was used",)


def _fitting(present: list[int], usual: LabelSet) -> list[LabelSet]:
    """Return the label sets that fit the ids, the usual one first."""
    named = [label_set(name) for name in label_sets_of_ids(present)]
    fits = not usual.unknown(present) and bool(usual.ids.keys() & set(present))
    return ([usual] if fits else []) + [one for one in named if one != usual]


def _meaning(one: LabelSet, present: list[int]) -> tuple[str | None, ...]:
    return tuple(one.ids.get(label_id) for label_id in present)


def _told(one: LabelSet, present: list[int]) -> str:
    return ", ".join(f"{i} {one.ids[i]}" for i in present if i in one.ids)
