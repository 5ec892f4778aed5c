"""A synthetic heart of ten structures whose surfaces are known exactly."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import chambers, vessels
from vecsetx.anatomy.phantom.carving import GAP_MM, PRECEDENCE, carve, centred_affine, label_grid
from vecsetx.anatomy.phantom.coronaries import Artery, coronary_arteries
from vecsetx.anatomy.phantom.footpoint import distance_to_level
from vecsetx.anatomy.phantom.parameters import Parameters
from vecsetx.anatomy.phantom.shapes import Shape, Stretch, Union, evaluate_in_chunks
from vecsetx.anatomy.sign import inside, with_sign

STRUCTURES = label_set("default").structures
"""The phantom's structures; the k-th has label ``k + 1``."""

_EXACT_WITHIN_MM = 5.0  # from a shape's surface; farther away the value is only a bound

_SEAM_MM = 0.5  # rounding where vessels of one structure meet
_COLUMN = [PRECEDENCE.index(name) for name in STRUCTURES]
_CENTER_MM = np.array([19.6, -8.5, 22.3])  # of a heart of size 1; becomes the origin


@dataclass(frozen=True)
class PhantomHeart:
    """A heart composed of analytic shapes.

    Coordinates are RAS+ mm, with the origin near the centre of the whole heart. Distances are
    negative inside. Inside and outside are exact everywhere, and no point is inside two structures.

    A structure is a smooth shape minus the shapes that precede it: max(a, −b₁, −b₂, …). Within 5 mm
    (at size 1) of a shape's surface, a and b are Euclidean distances to about 1e-3 mm.
    Exceptions are a few points in ten thousand, for which the search for the foot point ends at
    another bend of the surface. Farther away, a, b and the result are bounds: their magnitude never
    exceeds the distance. The result is the structure's distance wherever the nearest point of the
    deciding shape lies on the structure's surface. This holds everywhere near the surface except
    beside the creases where two shapes intersect; there, the result is a bound.

    Attributes:
        parameters: The heart's parameters.
    """

    parameters: Parameters

    @classmethod
    def random(cls, generator: np.random.Generator, scale: float = 1.0) -> "PhantomHeart":
        """Draw a random heart; the same generator state gives the same heart.

        Args:
            generator: Source of the random parameters.
            scale: Factor on the heart's size.
        """
        parameters = Parameters.random(generator)
        return cls(replace(parameters, size=scale * parameters.size))

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 10"]:
        """Return the signed distances to the structures, in the order of :data:`STRUCTURES`.

        Args:
            points_mm: Any points, RAS+ mm.

        Returns:
            Distances in mm, negative inside. See the class for where they are exact and where they
            are bounds.
        """
        points = self._to_model(points_mm)
        # Sort the points by cells of 12 mm, so that each chunk is near few parts of a shape.
        order = np.lexsort(np.floor(points / 12.0).T)
        points = points[order]
        # Signed values of the overlapping shapes, to their surfaces and to these offset by the gap.
        from_zero = np.empty((len(points), len(PRECEDENCE)))
        from_gap = np.empty_like(from_zero)
        for k, shape in enumerate(self._ordered):
            value, gradient = evaluate_in_chunks(shape, points)
            for level, column in ((0.0, from_zero), (GAP_MM, from_gap)):
                # Bounds suffice far away; near the surface, replace them by distances.
                column[:, k] = value - level
                near = np.abs(value - level) < _EXACT_WITHIN_MM
                if near.any():
                    distance = distance_to_level(
                        shape, points[near], level, value[near], gradient[near]
                    )
                    column[near, k] = with_sign(distance, inside(value[near] - level))
        # Make the shapes disjoint; back to the given order, to the structures' order, and to scale.
        distances = np.empty_like(from_zero)
        distances[order] = carve(from_zero, from_gap)[:, _COLUMN] * self.parameters.size
        return distances

    def voxelize(
        self,
        size: int | tuple[int, int, int] = 160,
        spacing_mm: float | tuple[float, float, float] = 0.8,
    ) -> LabelMap:
        """Return the heart's label map on a grid along R, A and S around its centre.

        Args:
            size: Number of voxels along each axis.
            spacing_mm: Voxel size along each axis.

        Returns:
            Labels 1…10 in the order of :data:`STRUCTURES`, 0 for background.
        """
        sizes = (size, size, size) if isinstance(size, int) else size
        return self.voxelize_on(sizes, centred_affine(sizes, spacing_mm))

    def voxelize_on(
        self, shape: tuple[int, int, int], affine: Float[np.ndarray, "4 4"]
    ) -> LabelMap:
        """Return the heart's label map on any grid: oblique, anisotropic or flipped.

        Each voxel gets the label of the structure that contains its centre. The grid cuts the
        heart at its edges, as a scan does.

        Args:
            shape: Number of voxels along each axis.
            affine: Maps voxel indices to RAS+ mm.
        """
        labels = label_grid(shape, affine, self._bounds, self.parameters.size * GAP_MM)
        return LabelMap(labels, np.array(affine, dtype=np.float64))

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The overlapping shapes by structure, in the heart's own coordinates and at size 1."""
        arteries = tuple(artery.shape() for artery in self._arteries.values())
        return {**self.large_shapes, "Coronary": Union(arteries, _SEAM_MM)}

    @cached_property
    def large_shapes(self) -> dict[str, Shape]:
        """The shapes without the coronary arteries, which take long to lay."""
        heart, course = self.parameters, self._course_mm
        veins, mouths = vessels.pulmonary_veins(heart, course[10:18])
        muscle = chambers.left_ventricle(heart, heart.wall_mm)
        # Landmarks of `course`: 0–7 aorta, 8–15 PA, 10–17 veins, 18–21 LAA, 12–23 coronaries. Some
        # serve two vessels.
        unstretched: dict[str, Shape] = {
            "LV": chambers.left_ventricle(heart, 0.0),
            "Myocardium": muscle,
            "Aorta": vessels.aorta(heart, course[0:8]),
            "RV": chambers.right_ventricle(heart),
            "PA": vessels.pulmonary_artery(heart, course[8:16]),
            "RA": chambers.right_atrium(heart),
            "LA": chambers.left_atrium(heart, mouths),
            "LAA": chambers.left_atrial_appendage(heart, muscle, course[18:22]),
            "PV": Union(veins, _SEAM_MM),
        }
        return {name: shape.stretched(self.stretch) for name, shape in unstretched.items()}

    @cached_property
    def _arteries(self) -> dict[str, Artery]:
        return coronary_arteries(
            self.parameters, self.large_shapes, self._course_mm[12:24], self.stretch
        )

    @cached_property
    def stretch(self) -> Stretch:
        """The map of positions by the heart's strain."""
        r, a, s, shear_as, shear_rs, shear_ra = self.parameters.strain
        strain = np.array(
            [[r, shear_ra, shear_rs], [shear_ra, a, shear_as], [shear_rs, shear_as, s]]
        )
        return Stretch(np.eye(3) + strain, _CENTER_MM)

    @property
    def _course_mm(self) -> np.ndarray:
        return np.array(self.parameters.course_mm)

    @property
    def _ordered(self) -> list[Shape]:
        return [self.shapes[name] for name in PRECEDENCE]

    @cached_property
    def _rotation(self) -> np.ndarray:
        return np.asarray(Rotation.from_rotvec(np.radians(self.parameters.turn_deg)).as_matrix())

    def _to_model(self, points_mm: np.ndarray) -> np.ndarray:
        # Rows times R apply its transpose, the inverse rotation.
        return np.asarray(points_mm @ self._rotation / self.parameters.size + _CENTER_MM)

    def _bounds(self, k: int, points_mm: np.ndarray) -> np.ndarray:
        """Return the signed bounds, mm, of the k-th shape in order of precedence."""
        value, _ = evaluate_in_chunks(self._ordered[k], self._to_model(points_mm))
        return value * self.parameters.size
