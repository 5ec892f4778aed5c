"""Slices: the planes of a view, each with its labels."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError

__all__ = ["Contours", "Slice", "slice_axis", "slices_of"]

_THICKER = 1.5
"""How much thicker than its pixels a slice is at least."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A plane of a view. Nothing is known beside it.

    Attributes:
        name: The view, and the slice's number in it, from 1.
        view: Number of the view.
        number: Number of the slice in its view, from 1.
        labels: Labels ``[H, W]``, 1…K; 0 for the background.
        known: Which of the K structures its view annotates anywhere.
        origin_mm: Centre of the first pixel, RAS+ mm.
        steps_mm: From a pixel to the next one, along each axis of the labels.
    """

    name: str
    view: int
    number: int
    labels: UInt[np.ndarray, "h w"]
    known: Bool[np.ndarray, " k"]
    origin_mm: Float[np.ndarray, "3"]
    steps_mm: Float[np.ndarray, "2 3"]

    @property
    def directions(self) -> Float[np.ndarray, "2 3"]:
        """Two unit vectors in the plane, at right angles."""
        first = self.steps_mm[0] / np.linalg.norm(self.steps_mm[0])
        second = self.steps_mm[1] - (self.steps_mm[1] @ first) * first
        return np.stack([first, second / np.linalg.norm(second)])

    @property
    def normal(self) -> Float[np.ndarray, "3"]:
        """The unit vector at right angles to the plane."""
        return np.cross(*self.directions)

    @property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """The two directions in the plane, and the normal; shifts are along these."""
        return np.concatenate([self.directions, self.normal[None]])

    def to_mm(self, pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Convert pixel indices to RAS+ mm."""
        return self.origin_mm + pixels @ self.steps_mm

    def at(self, points_mm: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
        """Return the labels at points' nearest places in the plane; −1 beyond the image."""
        pixels = np.rint((points_mm - self.origin_mm) @ np.linalg.pinv(self.steps_mm))
        pixels = pixels.astype(np.int64)
        inside = ((pixels >= 0) & (pixels < self.labels.shape)).all(axis=1)
        found = np.full(len(points_mm), -1)
        found[inside] = self.labels[tuple(pixels[inside].T)]
        return found


class Contours(NamedTuple):
    """Points on the outlines of structures, in all slices.

    Attributes:
        points_mm: RAS+ mm.
        structure: Index 0…K−1 of each point's structure.
        slice: Number of its slice.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]
    slice: Int[np.ndarray, " n"]


def slice_axis(view: LabelMap) -> int:
    """Return the axis of a view's labels along which its slices lie."""
    single = [axis for axis in range(3) if view.shape[axis] == 1]
    return single[0] if len(single) == 1 else int(view.spacing_mm.argmax())


def slices_of(
    label_map: LabelMap, path: str, name: str, view: int, structure_count: int
) -> list[Slice]:
    """Return the slices of a view that show anything.

    Args:
        label_map: The view, with labels 1…K: a stack of slices, or a single one.
        path: Its file, for error messages.
        name: Its name.
        view: Its number.
        structure_count: K.

    Raises:
        InputError: It is a volume or a line, not slices.
    """
    spacing_mm, shape = label_map.spacing_mm, label_map.shape
    axis = slice_axis(label_map)
    others = [other for other in range(3) if other != axis]
    if 1 not in shape and spacing_mm[axis] < _THICKER * spacing_mm[others].max():
        voxel = " × ".join(f"{size:.3g}" for size in spacing_mm)
        raise InputError(
            f"{path}: voxels of {voxel} mm are no slices, which are at least {_THICKER:g} times as "
            "thick as their pixels are wide; reconstruct a volume without --one-heart"
        )
    if min(shape[other] for other in others) < 2:
        size = " × ".join(map(str, shape))
        raise InputError(
            f"{path}: {size} voxels are a line, not slices; export the label map again"
        )
    known = np.isin(np.arange(1, structure_count + 1), label_map.labels)
    affine = label_map.affine
    found = []
    for number in range(shape[axis]):
        labels = np.take(label_map.labels, number, axis=axis)
        if labels.any():
            origin_mm = affine[:3, 3] + number * affine[:3, axis]
            steps_mm = affine[:3, others].T
            shown = f"{name} {number + 1}"
            found.append(Slice(shown, view, number + 1, labels, known, origin_mm, steps_mm))
    return found
