"""Align a heart with the observed part of another (iterative closest points with labels).

A point matches only points of its own structure.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from pykdtree.kdtree import KDTree
from skimage.transform import SimilarityTransform

from vecsetx.errors import InputError

__all__ = ["LabelledSurface", "align"]

_MATCHED_SHARE = 0.8
"""Share of the observed points that determine each step: those that match best. The others may lie
on parts that the heart lacks, such as vessels cut short by its scan."""

_STEPS = 50
"""Maximum number of steps, first with all points and then with those that match best."""

_CONVERGED_MM = 0.02
"""Iteration ends with a step that moves no matched point farther than this."""

_SEPARATION_MM = 1e5
"""Distance between two structures along a fourth axis, far more than between any two points."""


@dataclass(frozen=True, slots=True)
class LabelledSurface:
    """Labelled surface points of a heart, indexed for alignment.

    Attributes:
        points_mm: ``[N, 3]`` RAS+ mm.
        structure: ``[N]`` index 0…K−1 of each point's structure.
        tree: Search tree of the points in four dimensions; the fourth separates the structures.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]
    tree: KDTree

    @classmethod
    def of(
        cls, points_mm: Float[np.ndarray, "n 3"], structure: Int[np.ndarray, " n"]
    ) -> "LabelledSurface":
        """Index a heart's points, RAS+ mm, with the index 0…K−1 of each point's structure."""
        points_mm = np.asarray(points_mm, dtype=np.float64)
        return cls(points_mm, structure, KDTree(_labelled(points_mm, structure)))

    def has(self, structure: Int[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
        """Return, for each of these structure indices, whether the heart has such points."""
        return np.isin(structure, self.structure)

    def nearest(
        self, points_mm: Float[np.ndarray, "m 3"], structure: Int[np.ndarray, " m"]
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "m 3"]]:
        """Find each point's nearest point of the same structure.

        Args:
            points_mm: RAS+ mm.
            structure: Index of each point's structure.

        Returns:
            Distances, mm, and nearest points, RAS+ mm.
        """
        distances_mm, index = self.tree.query(_labelled(points_mm, structure))
        return distances_mm, self.points_mm[index]


def align(
    heart: LabelledSurface,
    observed_mm: Float[np.ndarray, "m 3"],
    structure: Int[np.ndarray, " m"],
) -> SimilarityTransform:
    """Find the similarity (rotation, one scale, translation) that aligns a heart with points.

    The method is iterative closest points (Besl and McKay, IEEE TPAMI 1992). Each step has a
    closed-form solution (Umeyama, IEEE TPAMI 1991), which never mirrors. Each observed point is
    matched with a point of the heart, not vice versa, because the observation may be partial.

    Args:
        heart: The whole heart, with all of the observed structures.
        observed_mm: Observed points, RAS+ mm.
        structure: Index of each observed point's structure.

    Returns:
        Transform from the heart's millimetres to those of the observed points.

    Raises:
        InputError: The observed points are too few or too close together.
    """
    observed_mm = np.asarray(observed_mm, dtype=np.float64)
    transform = _start(heart, observed_mm, structure)
    # First all points, then the best matches only: trimming from the start would converge to
    # whatever happens to match already.
    for share in (1.0, _MATCHED_SHARE):
        kept = max(int(share * len(observed_mm)), 1)
        for _ in range(_STEPS):
            # 1. Match each observed point, and keep the best matches.
            distances_mm, matches_mm = heart.nearest(transform.inverse(observed_mm), structure)
            best = np.argpartition(distances_mm, kept - 1)[:kept]
            # 2. The similarity that fits them best.
            step = SimilarityTransform.from_estimate(matches_mm[best], observed_mm[best])
            if not isinstance(step, SimilarityTransform):
                raise InputError(
                    f"cannot align a heart with these {len(observed_mm)} points, which match only "
                    "one place; show more of its surface"
                )
            moved_mm = np.abs(step(matches_mm) - transform(matches_mm)).max()
            transform = step
            if moved_mm < _CONVERGED_MM:
                break
    return transform


def _start(
    heart: LabelledSurface, observed_mm: np.ndarray, structure: np.ndarray
) -> SimilarityTransform:
    """Return the shift that aligns the structures' centroids; RAS orients all hearts alike."""
    shifts = [
        observed_mm[structure == k].mean(axis=0)
        - heart.points_mm[heart.structure == k].mean(axis=0)
        for k in np.unique(structure)
    ]
    return SimilarityTransform(translation=np.mean(shifts, axis=0), dimensionality=3)


def _labelled(points_mm: np.ndarray, structure: np.ndarray) -> np.ndarray:
    return np.column_stack([points_mm, structure * _SEPARATION_MM])
