"""Pieces of a heart: those that lie far from it, and large ones with a gap between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.view import voxels_at_edge

__all__ = ["Gap", "gaps", "without_stray_pieces"]

FAR_MM = 30.0
"""A piece farther than this from everything else of the heart does not belong to it."""

GAP_MM = 40.0
"""Two large pieces of a structure that are nearer than this were probably one."""

LARGE_SHARE = 0.1
"""Minimum share of a structure in a large piece of it."""

SPECK_VOXELS = 30
"""Pieces of fewer voxels are specks."""

_MANY = frozenset({"Coronary", "PV"})
"""Structures that consist of several pieces."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Two large pieces of one structure with a gap between them.

    Attributes:
        structure: Its name.
        volumes_ml: Volumes of the larger and the smaller piece.
        gap_mm: Shortest distance between the faces of their voxels.
    """

    structure: str
    volumes_ml: tuple[float, float]
    gap_mm: float

    def __str__(self) -> str:
        """Return a remark for the user."""
        larger, smaller = self.volumes_ml
        return (
            f"{self.structure} is in pieces of {larger:.1f} and {smaller:.1f} ml, "
            f"{self.gap_mm:.0f} mm apart: a part between them may be missing"
        )


def without_stray_pieces(label_map: LabelMap, structures: Sequence[str]) -> LabelMap:
    """Return the map without the pieces of structures that lie far from the heart.

    Everything within 30 mm of the heart's largest part belongs to the heart, and so does what lies
    within 30 mm of that. The largest piece of a structure stays wherever it is. Specks stay, too.

    Args:
        label_map: Labels 1…K.
        structures: Names of the K structures.

    Returns:
        The map, with a remark on every such piece.
    """
    import cc3d

    tight = label_map.cropped()
    bodies = number_pieces(tight.labels > 0)[0]
    statistics = cc3d.statistics(bodies)
    voxels, boxes = statistics["voxel_counts"].astype(np.int64), statistics["bounding_boxes"]
    large = [body for body in range(1, len(voxels)) if voxels[body] >= SPECK_VOXELS]
    large.sort(key=lambda body: -voxels[body])
    if len(large) < 2:
        return label_map
    surfaces_mm = {body: tight.to_mm(_surface_voxels(bodies, body, boxes[body])) for body in large}
    far_mm = _far_from_first(surfaces_mm)
    if not far_mm:
        return label_map
    # Number of voxels of each body and label.
    count = len(structures) + 1
    pairs = bodies.ravel().astype(np.int64) * count + tight.labels.ravel()
    sizes = np.bincount(pairs, minlength=len(voxels) * count).reshape(-1, count)
    left, remarks = tight.labels.copy(), list(label_map.remarks)
    for body, away_mm in far_mm.items():
        for label in np.flatnonzero(sizes[body]).tolist():
            piece = (bodies == body) & (tight.labels == label)
            place = ", ".join(f"{mm:.0f}" for mm in tight.to_mm(np.argwhere(piece).mean(axis=0)))
            ml = sizes[body, label] * label_map.voxel_volume_mm3 / 1000
            is_largest = sizes[1:, label].argmax() + 1 == body
            if not is_largest:
                left[piece] = 0
            remarks.append(
                f"{'the largest' if is_largest else 'a'} piece of {structures[label - 1]} "
                f"({ml:.1f} ml at ({place}) mm) lies {away_mm:.0f} mm from the rest of the heart: "
                f"it is {'kept, so look at it' if is_largest else 'left out'}"
            )
    labels = label_map.labels.copy()
    labels[label_map.bounding_box()] = left
    return replace(label_map, labels=labels, remarks=tuple(remarks))


def gaps(label_map: LabelMap, structures: Sequence[str]) -> list[Gap]:
    """Find structures, normally one, that are in large pieces within reach of each other.

    A piece is large if it has at least a tenth of the structure. Two pieces that both reach the
    edge of the field of view do not count: they may be one beyond it.

    Args:
        label_map: Labels 1…K, without specks.
        structures: Names of the K structures.
    """
    from scipy import ndimage

    tight = label_map.cropped()
    pieces = number_pieces(tight.labels)[0]
    voxels = np.bincount(pieces.ravel())
    # A piece has one label throughout, so that any of its voxels may set the entry.
    label_of = np.zeros(len(voxels), dtype=np.int64)
    label_of[pieces.ravel()] = tight.labels.ravel()
    boxes = ndimage.find_objects(pieces)
    found: list[Gap] = []
    for label, name in enumerate(structures, start=1):
        own = np.flatnonzero(label_of == label)
        large = own[voxels[own] >= LARGE_SHARE * voxels[own].sum()]
        if name in _MANY or len(large) < 2:
            continue
        by_size = large[np.argsort(-voxels[large], kind="stable")].tolist()
        surfaces = {piece: _surface_voxels(pieces, piece, boxes[piece - 1]) for piece in by_size}
        at_edge = voxels_at_edge(label_map, label_map.bounding_box())
        cut = {piece: at_edge[tuple(surfaces[piece].astype(int).T)].any() for piece in by_size}
        for position, piece in enumerate(by_size):
            gaps_mm = [
                (_gap_mm(tight, surfaces[piece], surfaces[other]), other)
                for other in by_size[:position]
                if not (cut[piece] and cut[other])
            ]
            gap_mm, nearest = min(gaps_mm, default=(np.inf, piece))
            if gap_mm < GAP_MM:
                larger, smaller = voxels[[nearest, piece]] * tight.voxel_volume_mm3 / 1000
                found.append(Gap(name, (float(larger), float(smaller)), gap_mm))
    return found


def _far_from_first(points_mm: dict[int, np.ndarray]) -> dict[int, float]:
    """Return the bodies that do not belong to the first one, and how far from all that do they are.

    Args:
        points_mm: Body → the voxels at its surface.
    """
    from pykdtree.kdtree import KDTree

    rest = dict(points_mm)
    away_mm = dict.fromkeys(rest, np.inf)
    joined = [next(iter(rest))]
    while joined:
        for body in joined:
            tree = KDTree(rest.pop(body))
            for other, there_mm in rest.items():
                away_mm[other] = min(away_mm[other], float(tree.query(there_mm)[0].min()))
        joined = [body for body in rest if away_mm[body] <= FAR_MM]
    return {body: away_mm[body] for body in rest}


def _gap_mm(label_map: LabelMap, one: np.ndarray, other: np.ndarray) -> float:
    """Return the shortest distance between the faces of the voxels of two pieces.

    Args:
        label_map: The grid.
        one: Indices ``[N, 3]`` of the voxels at the surface of one piece.
        other: The same of the other.
    """
    from pykdtree.kdtree import KDTree

    distances, nearest = KDTree(label_map.to_mm(one)).query(label_map.to_mm(other))
    at = int(distances.argmin())
    steps = np.abs(one[nearest[at]] - other[at])
    return float(np.linalg.norm(np.maximum(steps - 1, 0) * label_map.spacing_mm))


def _surface_voxels(
    pieces: np.ndarray, piece: int, box: tuple[slice, slice, slice]
) -> Float[np.ndarray, "n 3"]:
    """Return the indices of the voxels of a piece, within its box, with a neighbour outside it."""
    from scipy import ndimage

    mask = pieces[box] == piece
    start = [side.start for side in box]
    return (np.argwhere(mask & ~ndimage.binary_erosion(mask)) + start).astype(np.float64)
