"""Variants of a heart: what strangers' hearts, and their segmentations, may look like.

A variant is moved, its vessels end elsewhere, and its valves lie elsewhere. Beside it stands what a
poorer segmentation shows of it: the model receives that, and learns the variant itself.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.linalg import expm, polar

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.view import cut_structures
from vecsetx.ranges import Angle, Share
from vecsetx.variation.borders import BORDERS, shift_border, thin_wall
from vecsetx.variation.chambers import Filling
from vecsetx.variation.flow import Lattice, flow, random_velocity, smallest_jacobian
from vecsetx.variation.resampled import corners_mm, grid_around, resampled
from vecsetx.variation.segmented import SegmentedSpec, segmented
from vecsetx.variation.vessels import ROOTS, cut_back

__all__ = ["Variant", "VariationSpec", "vary"]

_CHAMBERS, _WALLED = ("LV", "RV", "LA", "RA"), ("Aorta", "PA")
_LATTICE_MM, _AROUND_MM, _MARGIN_MM = 4.0, 40.0, 8.0
_POINTS_MM, _FEW_POINTS = 2.0, 50
"""Chambers are measured by points of about this distance, if they have enough of them."""

_LEAST_JACOBIAN = 0.15
"""A motion that shrinks volumes more than this somewhere is nearly folded: it is halved."""


@dataclass(frozen=True, slots=True)
class VariationSpec:
    """How much variants differ from their heart.

    Attributes:
        size: Largest relative change of size, uniform in the logarithm.
        stretch: Standard deviation of the logarithm by which the heart is stretched along any axis.
        warp_mm: Root mean square of the velocity of a random smooth motion, mm.
        smooth_mm: Its smoothness: standard deviation of a Gaussian filter.
        systole: Largest logarithm by which the left ventricle's diameters shrink; uniform. The
            volume of its wall stays.
        fills: Largest logarithm by which a chamber's diameters grow, or shrink otherwise; uniform.
        cut: Share of the vessels that are cut back, each once or twice.
        tilt_deg: Standard deviation of the angle between such a cut and a cross-section.
        border: Share of the valves and ostia that are moved.
        border_mm: Largest distance by which they are, uniform; to either side.
        wall: Share of the large vessels that lose a layer, as if their wall were not labelled.
        wall_mm: Its largest thickness, uniform.
        voxel_mm: Smallest voxel size of a variant; a coarser heart keeps its own.
        segmented: What is shown of a variant.
    """

    size: Share = 0.25
    stretch: Share = 0.05
    warp_mm: float = 4.0
    smooth_mm: float = 15.0
    systole: Share = 0.3
    fills: Share = 0.2
    cut: Share = 0.5
    tilt_deg: Angle = 15.0
    border: Share = 0.4
    border_mm: float = 5.0
    wall: Share = 0.3
    wall_mm: float = 1.5
    voxel_mm: float = 0.8
    segmented: SegmentedSpec = field(default_factory=SegmentedSpec)


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of a heart.

    Attributes:
        heart: Its label map, with the labels 1…K of the heart.
        shown: The same as a poorer segmentation shows it; None if it is shown as it is.
    """

    heart: LabelMap
    shown: LabelMap | None


def vary(
    label_map: LabelMap,
    structures: tuple[str, ...],
    spec: VariationSpec,
    generator: np.random.Generator,
) -> Variant:
    """Make a variant of a heart.

    Args:
        label_map: Labels 1…K; not empty.
        structures: Names of the K structures.
        spec: How much it may differ.
        generator: Random numbers.
    """
    label = {name: k for k, name in enumerate(structures, 1) if (label_map.labels == k).any()}
    heart = _moved(label_map, label, spec, generator)
    heart = _with_other_borders(heart, label, spec, generator)
    heart = _with_other_ends(heart, label, spec, generator)
    return Variant(heart, segmented(heart, spec.segmented, generator))


def _moved(
    label_map: LabelMap,
    label: dict[str, int],
    spec: VariationSpec,
    generator: np.random.Generator,
) -> LabelMap:
    """The heart with another size and shape."""
    corners = corners_mm(label_map)
    lattice = Lattice.around(corners, _AROUND_MM, _LATTICE_MM)
    # 1. Chambers fill or empty, one after the other.
    some = label_map.downsampled(max(round(_POINTS_MM / float(label_map.spacing_mm.max())), 1))
    fillings: list[Filling] = []
    for name in _CHAMBERS:
        growth = generator.uniform(-spec.systole if name == "LV" else -spec.fills, spec.fills)
        points_mm = some.to_mm(np.argwhere(some.labels == label.get(name)))
        if len(points_mm) > _FEW_POINTS:
            fillings.append(Filling(_after(fillings, points_mm), growth))
    # 2. A random smooth motion, which on the lattice may not fold; chambers never fold anything.
    velocity = random_velocity(lattice, spec.warp_mm, spec.smooth_mm, generator)
    while smallest_jacobian(flow(-velocity, lattice), lattice) < _LEAST_JACOBIAN:
        velocity /= 2
    places_mm = lattice.points_mm()
    found_mm = places_mm + flow(-velocity, lattice)
    for filling in reversed(fillings):
        found_mm = filling.undone(found_mm)
    # 3. A stretch about the middle.
    center_mm, stretch = corners.mean(axis=0), _stretch(spec, generator)
    unstretch = np.linalg.inv(stretch)
    # 4. On a grid around where the heart is then, each voxel finds its label where it came from.
    some_mm = _after(fillings, some.to_mm(np.argwhere(some.labels)))
    some_mm = some_mm + lattice.at(flow(velocity, lattice), some_mm)
    spacing_mm = np.full(3, max(spec.voxel_mm, float(label_map.spacing_mm.min())))
    affine, shape = grid_around(
        (some_mm - center_mm) @ stretch + center_mm,
        polar(label_map.affine[:3, :3])[0],
        spacing_mm,
        _MARGIN_MM,
    )
    back_mm = found_mm - places_mm

    def found_at(points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        before_mm = (points_mm - center_mm) @ unstretch + center_mm
        return before_mm + lattice.at(back_mm, before_mm)

    is_cut = cut_structures(label_map, max(label.values())).any()
    complete = label_map.unknown is None and not is_cut
    return resampled(label_map, affine, shape, found_at, complete)


def _after(
    fillings: list[Filling], points_mm: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    for filling in fillings:
        points_mm = filling.moved(points_mm)
    return points_mm


def _stretch(spec: VariationSpec, generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """A symmetric matrix: a change of size, and unequal stretches along random axes."""
    symmetric = spec.stretch * generator.standard_normal((3, 3))
    symmetric = (symmetric + symmetric.T) / 2
    grown = np.log(1 + spec.size) * generator.uniform(-1, 1)
    return np.asarray(expm(symmetric + grown * np.eye(3)))


def _with_other_borders(
    heart: LabelMap,
    label: dict[str, int],
    spec: VariationSpec,
    generator: np.random.Generator,
) -> LabelMap:
    """The heart with valves, ostia and outer walls elsewhere."""
    for pair in BORDERS:
        chance, by_mm = generator.random(), generator.uniform(-spec.border_mm, spec.border_mm)
        if chance < spec.border and set(pair) <= label.keys():
            one, other = (label[name] for name in pair)
            grows, yields = (one, other) if by_mm > 0 else (other, one)
            heart = shift_border(heart, grows, yields, abs(by_mm))
    for name in _WALLED:
        chance, by_mm = generator.random(), generator.uniform(0, spec.wall_mm)
        if chance < spec.wall and name in label:
            heart = thin_wall(heart, label[name], by_mm)
    return heart


def _with_other_ends(
    heart: LabelMap,
    label: dict[str, int],
    spec: VariationSpec,
    generator: np.random.Generator,
) -> LabelMap:
    """The heart with vessels that end elsewhere."""
    for name, root in ROOTS.items():
        chance, cuts = generator.random(), int(generator.integers(1, 3))
        if chance < spec.cut and {name, root} <= label.keys():
            for _ in range(cuts):
                heart = cut_back(heart, label[name], label[root], spec.tilt_deg, generator)
    return heart
