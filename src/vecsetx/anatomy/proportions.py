"""Proportions of the heart: chambers that spread as no heart's do betray a wrong spacing."""

import numpy as np

from vecsetx.anatomy.label_map import LabelMap

__all__ = ["odd_proportions", "odd_size"]

_CHAMBERS = ("Myocardium", "LA", "LV", "RA", "RV")

_MOST, _LEAST = 1.8, 0.5
"""Spread along an axis as a multiple of that across it. In any direction, 67 real hearts of three
sources have 0.55 to 1.73, and 40 phantoms 0.50 to 1.80 (``benchmarks/proportions.py``)."""


_MOST_ML = 1500.0
"""Volume of chambers and myocardium together: 373 to 883 ml in the same real hearts
(docs/lab-log.md, 2026-11-30); more in heart failure."""

_FLAT_SHARE = 0.2
"""A heart tapers. Where the first or last slice has a larger share of the largest one's voxels, the
scan or its labels may end there."""


def odd_proportions(label_map: LabelMap, structures: tuple[str, ...]) -> tuple[str, ...]:
    """Return a remark if the chambers spread too far, or too little, along an axis of the map.

    The spread is the standard deviation of the places of their voxels. Both ventricles and an
    atrium must be there, because one chamber alone may be long. Where the scan or
    its labels end within the chambers, they spread less along that axis, which then tells nothing.

    Args:
        label_map: Labels 1…K.
        structures: Names of the K structures.
    """
    labels = [k for k, name in enumerate(structures, start=1) if name in _CHAMBERS]
    inside = np.isin(label_map.labels, labels)
    present = {structures[k - 1] for k in np.unique(label_map.labels[inside]).tolist()}
    if not ({"LV", "RV"} <= present and present & {"LA", "RA"}):
        return ()
    spread_mm, cut = np.zeros(3), np.zeros(3, dtype=bool)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        count = inside.sum(axis=others)
        place_mm = np.arange(len(count)) * label_map.spacing_mm[axis]
        mean_mm = np.average(place_mm, weights=count)
        spread_mm[axis] = np.sqrt(np.average((place_mm - mean_mm) ** 2, weights=count))
        filled = count[count > 0]
        ends_flat = max(filled[0], filled[-1]) > _FLAT_SHARE * count.max()
        cut[axis] = count[0] > 0 or count[-1] > 0 or ends_flat
    oddest, remark = 1.0, ""
    for axis, name in enumerate(("first", "second", "third")):
        across = np.arange(3) != axis
        ratio = float(spread_mm[axis] / np.sqrt((spread_mm[across] ** 2).mean()))
        far, near = ratio / _MOST, _LEAST / ratio
        if max(far, near) <= oddest or (cut[across].any() if far > near else cut[axis]):
            continue
        oddest = max(far, near)
        known = f"at most {_MOST:g}" if far > near else f"at least {_LEAST:g}"
        spacing = " × ".join(f"{mm:.3g}" for mm in label_map.spacing_mm)
        shape = "stretched" if far > near else "flattened"
        remark = (
            f"the heart is {shape} along the {name} axis (its chambers spread {ratio:.3g} times as "
            f"far along it as across it, and {known} times in known hearts): check the spacing of "
            f"{spacing} mm, and correct the header if it is wrong"
        )
    return (remark,) if remark else ()


def odd_size(label_map: LabelMap, structures: tuple[str, ...]) -> tuple[str, ...]:
    """Return a remark if the chambers and the myocardium are larger together than in known hearts.

    Args:
        label_map: Labels 1…K.
        structures: Names of the K structures.
    """
    labels = [k for k, name in enumerate(structures, start=1) if name in _CHAMBERS]
    voxels = np.count_nonzero(np.isin(label_map.labels, labels))
    ml = voxels * label_map.voxel_volume_mm3 / 1000
    if ml <= _MOST_ML:
        return ()
    spacing = " × ".join(f"{mm:.3g}" for mm in label_map.spacing_mm)
    return (
        f"chambers and myocardium hold {ml:.0f} ml together, and at most {_MOST_ML:g} ml in nearly "
        f"all hearts: check the spacing of {spacing} mm, and correct the header if it is wrong",
    )
