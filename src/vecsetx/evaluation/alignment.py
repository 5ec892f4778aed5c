"""Laying one heart over another, as far as the other is observed.

The points are labelled: a point only ever matches points of its own structure.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from pykdtree.kdtree import KDTree
from skimage.transform import SimilarityTransform

from vecsetx.errors import InputError

MATCHED_SHARE = 0.8
"""Share of the observed points that decide each step, those that match best: the others may show
what the heart lacks, as vessels that a scan cut short."""

_STEPS = 50
"""At most so many with all points, and as many with those that match best."""

_SETTLED_MM = 0.02
"""A step that moves no matched point farther is the last of its kind."""

_APART_MM = 1e5
"""Distance between two structures along a fourth axis, much more than between any two points."""


@dataclass(frozen=True, slots=True)
class LabelledSurface:
    """Surface points of a heart, to be laid over another.

    Attributes:
        points_mm: ``[N, 3]`` RAS+ mm.
        structure: ``[N]`` index 0…K−1 of each point's structure.
        tree: All points in four dimensions, a structure's far from every other's.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]
    tree: KDTree

    @classmethod
    def of(
        cls, points_mm: Float[np.ndarray, "n 3"], structure: Int[np.ndarray, " n"]
    ) -> "LabelledSurface":
        """Index the points of a heart."""
        points_mm = np.asarray(points_mm, dtype=np.float64)
        return cls(points_mm, structure, KDTree(_labelled(points_mm, structure)))

    def shows(self, structure: Int[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
        """For each of these structures, whether there are points of it."""
        return np.isin(structure, self.structure)

    def nearest(
        self, points_mm: Float[np.ndarray, "m 3"], structure: Int[np.ndarray, " m"]
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "m 3"]]:
        """The nearest point of the same structure, and how far it is, for each of the points."""
        distances_mm, index = self.tree.query(_labelled(points_mm, structure))
        return distances_mm, self.points_mm[index]


def align(
    heart: LabelledSurface,
    observed_mm: Float[np.ndarray, "m 3"],
    structure: Int[np.ndarray, " m"],
) -> SimilarityTransform:
    """The similarity (rotation, one scale, translation) that lays a heart over observed points.

    Iterative closest points (Besl and McKay, IEEE TPAMI 1992), each step solved in closed form
    (Umeyama, IEEE TPAMI 1991), which never mirrors. Matches run from the observed points to the
    heart, because what is observed may be a part of it.

    Args:
        heart: The whole heart. It shows every one of the observed structures.
        observed_mm: RAS+ mm.
        structure: Index of each observed point's structure.

    Returns:
        From the heart's millimetres to those of the observed points.

    Raises:
        InputError: The observed points are too few or too close together.
    """
    observed_mm = np.asarray(observed_mm, dtype=np.float64)
    transform = _start(heart, observed_mm, structure)
    # Trimmed from the start, the matches would settle on whatever happens to lie well already.
    for share in (1.0, MATCHED_SHARE):
        kept = max(int(share * len(observed_mm)), 1)
        for _ in range(_STEPS):
            distances_mm, matches_mm = heart.nearest(transform.inverse(observed_mm), structure)
            best = np.argpartition(distances_mm, kept - 1)[:kept]
            step = SimilarityTransform.from_estimate(matches_mm[best], observed_mm[best])
            if not isinstance(step, SimilarityTransform):
                raise InputError(
                    f"a heart cannot be laid over these {len(observed_mm)} points, which match one "
                    "place; show more of its surface"
                )
            moved_mm = np.abs(step(matches_mm) - transform(matches_mm)).max()
            transform = step
            if moved_mm < _SETTLED_MM:
                break
    return transform


def _start(
    heart: LabelledSurface, observed_mm: np.ndarray, structure: np.ndarray
) -> SimilarityTransform:
    """The shift that brings the structures' centroids together; patients lie alike in RAS."""
    shifts = [
        observed_mm[structure == k].mean(axis=0)
        - heart.points_mm[heart.structure == k].mean(axis=0)
        for k in np.unique(structure)
    ]
    return SimilarityTransform(translation=np.mean(shifts, axis=0), dimensionality=3)


def _labelled(points_mm: np.ndarray, structure: np.ndarray) -> np.ndarray:
    return np.column_stack([points_mm, structure * _APART_MM])
