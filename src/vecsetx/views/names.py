"""Names of the structures in a view, held against anatomy."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.plausibility import contradictions
from vecsetx.data.name_check import check_ids
from vecsetx.errors import InputError
from vecsetx.views.slices import slice_axis

__all__ = ["check_names", "usual_contacts"]


def check_names(
    label_map: LabelMap, stored: LabelMap, label_set: LabelSet, path: Path, trust: bool
) -> LabelMap:
    """Hold the names of a view's structures against anatomy, as those of whole hearts.

    A damaged slice alone does not contradict them: it is left out later, as all that do not fit.

    Args:
        label_map: The view, with labels of structures.
        stored: The same with the file's ids.
        label_set: What the ids stand for.
        path: The file, for the message.
        trust: Whether the user has confirmed the names.

    Returns:
        The view, with remarks.

    Raises:
        InputError: Anatomy contradicts the names, and they are not trusted.
    """
    try:
        return check_ids(label_map, stored, label_set, path, trust)
    except InputError:
        names = label_set.ids
        by_all = contradictions(Contacts.of(stored), names)
        if by_all is not None and contradictions(usual_contacts(stored), names) is None:
            return label_map
        raise


def usual_contacts(view: LabelMap) -> Contacts:
    """Return the contacts of a stack all of whose slices were as most are.

    Each area is the median of the slices' times their number, and so is each volume: a few damaged
    slices change neither. What two slices share does not count.

    Args:
        view: The view, with whatever ids it has.
    """
    axis, whole = slice_axis(view), Contacts.of(view)
    size = len(whole.ids) + 1
    areas_mm2, volumes_ml = [], []
    for number in range(view.shape[axis]):
        labels = np.take(view.labels, [number], axis=axis)
        if not labels.any():
            continue
        own = Contacts.of(LabelMap(labels, view.affine))
        rows = np.searchsorted([0, *whole.ids], [0, *own.ids])
        area_mm2, volume_ml = np.zeros((size, size)), np.zeros(size)
        area_mm2[np.ix_(rows, rows)] = own.area_mm2
        volume_ml[rows] = own.volume_ml
        areas_mm2.append(area_mm2)
        volumes_ml.append(volume_ml)
    return replace(
        whole,
        area_mm2=len(areas_mm2) * np.median(areas_mm2, axis=0),
        volume_ml=len(areas_mm2) * np.median(volumes_ml, axis=0),
    )
