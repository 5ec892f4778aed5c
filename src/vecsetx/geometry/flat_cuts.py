"""Flat cuts inside a scan: planes of the grid at which several structures end at once.

A segmentation that was made within a cropped box, and then pasted back into the whole scan, ends at
the faces of that box. These ends are not anatomy: the structures go on beyond them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import WHOLE_HEART

__all__ = ["Caps", "FlatCut", "flat_cuts", "outermost_caps", "parts", "unknown_beyond_cuts"]

MIN_SHARE = 0.5
"""Minimum area of a cap, as a share of the structure's largest cross-section just inside. Of whole
hearts, the second largest share at any side is at most 0.35 (``benchmarks/scan_findings.py``)."""

MIN_AREA_MM2 = 100.0
"""Minimum area of a cap."""

MAX_SPACING_MM = 3.0
"""In thicker slices, what ends by itself may look cut: a stack of short-axis slices has 8 to 10."""

_INSIDE_MM = 6.0
"""How far inside the plane a structure's cross-sections are compared with its cap."""

_SPECK_SHARE = 0.003
"""What is so small a share of the heart beyond a plane are specks, and no part of the heart."""

_SPECK_AREA_SHARE = 0.05
"""Nor may specks fill more of the slice beyond than this share of the last one: a heart tapers."""

_LEFT, _RIGHT = frozenset({"LV", "Myocardium", "PML"}), frozenset({"RV", "RVWall"})
_ATRIA = frozenset({"LA", "LAWall", "LAA", "RA"})
_VENTRICLES = _LEFT | _RIGHT
_PARTS = (_LEFT, _RIGHT, frozenset({"LA", "LAWall", "LAA"}))
"""A cavity and its own wall end together: they are one piece of evidence."""

_TRIMMED = frozenset({"Coronary", "PV", "SVC", "IVC", "CS"})
"""Vessels that are trimmed to stumps: their ends are no evidence."""

_ENDS = {
    "R": ("right", "left"),
    "L": ("left", "right"),
    "A": ("anterior", "posterior"),
    "P": ("posterior", "anterior"),
    "S": ("superior", "inferior"),
    "I": ("inferior", "superior"),
}
"""Code of an axis → the heart's ends to which its indices rise and fall."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The flat ends of all structures at one side of the heart.

    Attributes:
        axis: Axis of the grid.
        outward: Direction along the axis that leads out of the heart, −1 or 1.
        index: The heart's outermost slice, without specks.
        areas_mm2: ``[K]`` area of each structure in that slice.
        shares: ``[K]`` the same as a share of its largest cross-section within 6 mm inside, 0…1.
    """

    axis: int
    outward: int
    index: int
    areas_mm2: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True, slots=True)
class FlatCut:
    """A plane of the grid, inside the scan, at which several structures end.

    Attributes:
        axis: Axis of the grid.
        outward: Direction along the axis that leads out of the heart, −1 or 1.
        index: The last slice inside.
        structures: Names of the structures that end there.
        place_mm: ``[3]`` middle of their ends, RAS+ mm.
    """

    axis: int
    outward: int
    index: int
    structures: tuple[str, ...]
    place_mm: np.ndarray


def unknown_beyond_cuts(label_map: LabelMap, structures: Sequence[str]) -> LabelMap:
    """Return the map with everything beyond flat cuts unknown, and a remark on each of them.

    Args:
        label_map: Labels 1…K.
        structures: Names of the K structures.
    """
    for cut in flat_cuts(label_map, structures):
        beyond = np.zeros(label_map.shape, dtype=bool)
        slices = np.moveaxis(beyond, cut.axis, 0)
        slices[cut.index + 1 :] = cut.outward > 0
        slices[: cut.index] = cut.outward < 0
        place = ", ".join(f"{mm:.0f}" for mm in cut.place_mm.tolist())
        names = f"{', '.join(cut.structures[:-1])} and {cut.structures[-1]}"
        label_map = label_map.with_unknown(
            beyond,
            f"several structures end on one plane at ({place}) mm, the {_end(label_map, cut)} end "
            f"of the heart, inside the scan ({names}): it is taken as the scan's edge, and the "
            f"{beyond.mean():.1%} of the voxels beyond it as unknown",
        )
    return label_map


def flat_cuts(label_map: LabelMap, structures: Sequence[str]) -> list[FlatCut]:
    """Find the planes of the grid, inside the scan, at which several structures end at once.

    At least two parts of the heart must end there with caps of :data:`MIN_AREA_MM2` that are at
    least :data:`MIN_SHARE` of their cross-section just inside, and nothing of the heart may lie
    beyond. No evidence are veins and coronaries, and ventricles without atria or atria without
    ventricles, which may end at their valves.

    Args:
        label_map: Labels 1…K.
        structures: Names of the K structures.
    """
    return [
        cut
        for caps in outermost_caps(label_map, len(structures))
        if (cut := _cut(caps, label_map, structures))
    ]


def outermost_caps(label_map: LabelMap, structure_count: int) -> list[Caps]:
    """Measure the ends of all structures in the heart's outermost slice at each of its six sides.

    The outermost slice is the first one large enough for two caps. Left out are sides at which more
    than specks lies beyond it or the field of view ends, and axes whose slices are too thick.

    Args:
        label_map: Labels 1…K.
        structure_count: Number of structures K.
    """
    box = label_map.bounding_box()
    planes_mm = 1 / np.linalg.norm(np.linalg.inv(label_map.affine[:3, :3]), axis=1)
    found = []
    for axis, plane_mm in enumerate(planes_mm.tolist()):
        if round(plane_mm, 3) > MAX_SPACING_MM:
            continue
        slices = np.moveaxis(label_map.labels[box], axis, 0)
        if len(slices) == 0:
            continue
        filled = np.array([np.count_nonzero(part) for part in slices])
        # Two caps fill at least this many voxels of a slice.
        least = 2 * MIN_AREA_MM2 * plane_mm / label_map.voxel_volume_mm3
        depth = 1 + int(np.ceil(_INSIDE_MM / plane_mm))
        for outward in (-1, 1):
            # Count from outside, and skip specks.
            first = int(np.argmax(filled[::-outward] >= least))
            outside, last = filled[::-outward][:first], filled[::-outward][first]
            index = int(box[axis].start + first if outward < 0 else box[axis].stop - 1 - first)
            if (
                filled.max() < least
                or outside.sum() > _SPECK_SHARE * filled.sum()
                or outside[-1:].sum() > _SPECK_AREA_SHARE * last
                or _ends_scan(label_map, axis, index, outward)
            ):
                continue
            inward = slices[::-outward][first : first + depth]
            counts = np.stack(
                [np.bincount(part.ravel(), minlength=structure_count + 1) for part in inward]
            )
            counts = counts[:, 1:]
            areas_mm2 = counts[0] * label_map.voxel_volume_mm3 / plane_mm
            shares = counts[0] / np.maximum(counts.max(axis=0), 1)
            found.append(Caps(axis, outward, index, areas_mm2, shares))
    return found


def _ends_scan(label_map: LabelMap, axis: int, index: int, outward: int) -> bool:
    """Whether the field of view ends at a slice of the heart: the grid, or what is known."""
    if not 0 <= index + outward < label_map.shape[axis]:
        return True
    if label_map.unknown is None:
        return False
    beyond = np.take(label_map.unknown, index + outward, axis)
    return bool(beyond[np.take(label_map.labels, index, axis) > 0].any())


def _cut(caps: Caps, label_map: LabelMap, structures: Sequence[str]) -> FlatCut | None:
    flat = (caps.shares >= MIN_SHARE) & (caps.areas_mm2 >= MIN_AREA_MM2)
    names = tuple(name for name, is_flat in zip(structures, flat, strict=True) if is_flat)
    if len(parts(names)) < 2 or _may_be_valves(set(names), label_map, structures):
        return None
    in_slice = np.isin(np.take(label_map.labels, caps.index, caps.axis), np.flatnonzero(flat) + 1)
    # The plane lies at the outer faces of the last slice.
    middle = np.argwhere(in_slice).mean(axis=0)
    place = np.insert(middle, caps.axis, caps.index + 0.5 * caps.outward)
    return FlatCut(caps.axis, caps.outward, caps.index, names, label_map.to_mm(place))


def parts(names: Sequence[str]) -> set[frozenset[str]]:
    """Return the parts of the heart that structures belong to, without trimmed vessels."""
    return {
        next((part for part in _PARTS if name in part), frozenset({name}))
        for name in names
        if name not in _TRIMMED
    }


def _may_be_valves(capped: set[str], label_map: LabelMap, structures: Sequence[str]) -> bool:
    """Whether caps may be valve planes: of ventricles without atria, or the other way round."""
    labels = label_map.labels[label_map.bounding_box()]
    present = {name for label, name in enumerate(structures, 1) if (labels == label).any()}
    for chambers, others in ((_VENTRICLES, _ATRIA), (_ATRIA, _VENTRICLES)):
        if capped <= chambers and not present & (others | {WHOLE_HEART}):
            return True
    return False


def _end(label_map: LabelMap, cut: FlatCut) -> str:
    """Name the end of the heart at which a cut lies."""
    import nibabel as nib

    code = nib.orientations.aff2axcodes(label_map.affine)[cut.axis]
    rising, falling = _ENDS[code]
    return rising if cut.outward > 0 else falling
