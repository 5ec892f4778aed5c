"""A synthetic heart of ten structures whose surfaces are known exactly."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import chambers, vessels
from vecsetx.anatomy.phantom.carving import GAP_MM, PRECEDENCE, carved, centred_affine, labels_on
from vecsetx.anatomy.phantom.coronaries import Artery, coronary_arteries
from vecsetx.anatomy.phantom.footpoint import distance_to_level
from vecsetx.anatomy.phantom.parameters import Parameters
from vecsetx.anatomy.phantom.shapes import Shape, Stretch, Union, evaluate_in_chunks
from vecsetx.anatomy.sign import inside, with_sign

STRUCTURES = label_set("default").structures
"""The phantom's structures; the k-th has label ``k + 1``."""

EXACT_WITHIN_MM = 5.0
"""How far from a shape's surface its distance is worked out; farther off it is a bound."""

_SEAM_MM = 0.5  # rounding where vessels of one structure meet

_COLUMN = [PRECEDENCE.index(name) for name in STRUCTURES]
_MIDDLE_MM = np.array([19.6, -8.5, 22.3])  # of a heart of size 1; it is laid into the origin


@dataclass(frozen=True)
class PhantomHeart:
    """A heart made of analytic shapes.

    Its origin, in RAS+ mm, is about the middle of the whole heart. Distances are negative inside.
    Inside and outside are exact everywhere, and no point is inside two structures.

    A structure is a smooth shape less the shapes that precede it, max(a, −b₁, −b₂, …). Within 5 mm
    (at size 1) of a shape's surface a and b are Euclidean distances to about 1e-3 mm, but for some
    points in ten thousand whose foot point is found at another bend of the surface. Farther off,
    they and the result are bounds: their magnitude is never larger than the distance. The result is
    the structure's own distance wherever the nearest point of the deciding shape is on the
    structure's surface: everywhere near it but beside the creases in which two shapes cut each
    other. There it is a bound again.

    Attributes:
        parameters: The numbers that make this heart.
    """

    parameters: Parameters

    @classmethod
    def random(cls, generator: np.random.Generator, scale: float = 1.0) -> "PhantomHeart":
        """Draw a heart, so many times as large. The same generator state gives the same heart."""
        parameters = Parameters.random(generator)
        return cls(replace(parameters, size=scale * parameters.size))

    def distances_mm(self, points_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 10"]:
        """Signed distances to the structures, in the order of :data:`STRUCTURES`.

        Args:
            points_mm: RAS+ mm, anywhere.

        Returns:
            Distances in mm, negative inside; the class says where they are exact and where bounds.
        """
        points = self._to_model(points_mm)
        # Neighbours together: most shapes are then asked about few of their parts at a time.
        order = np.lexsort(np.floor(points / 12.0).T)
        points = points[order]
        from_zero = np.empty((len(points), len(PRECEDENCE)))
        from_gap = np.empty_like(from_zero)
        for k, shape in enumerate(self._ordered):
            value, gradient = evaluate_in_chunks(shape, points)
            for level, column in ((0.0, from_zero), (GAP_MM, from_gap)):
                column[:, k] = value - level
                near = np.abs(value - level) < EXACT_WITHIN_MM
                if near.any():
                    distance = distance_to_level(
                        shape, points[near], level, value[near], gradient[near]
                    )
                    column[near, k] = with_sign(distance, inside(value[near] - level))
        distances = np.empty_like(from_zero)
        distances[order] = carved(from_zero, from_gap)[:, _COLUMN] * self.parameters.size
        return distances

    def voxelize(
        self,
        size: int | tuple[int, int, int] = 160,
        spacing_mm: float | tuple[float, float, float] = 0.8,
    ) -> LabelMap:
        """The heart's label map on a grid around its middle whose axes are R, A and S.

        Args:
            size: Voxels along each axis.
            spacing_mm: Voxel size along each axis.

        Returns:
            Labels 1…10 in the order of :data:`STRUCTURES`, 0 for background.
        """
        sizes = (size, size, size) if isinstance(size, int) else size
        return self.voxelize_on(sizes, centred_affine(sizes, spacing_mm))

    def voxelize_on(
        self, shape: tuple[int, int, int], affine: Float[np.ndarray, "4 4"]
    ) -> LabelMap:
        """The heart's label map on any grid: oblique, anisotropic or flipped.

        Each voxel gets the structure that its centre is inside. The grid cuts what lies outside it,
        as a scan does.
        """
        labels = labels_on(shape, affine, self._bounds, self.parameters.size * GAP_MM)
        return LabelMap(labels, np.array(affine, dtype=np.float64))

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The overlapping shapes by structure, in the heart's own frame and at size 1."""
        arteries = tuple(artery.shape() for artery in self._arteries.values())
        return {**self._large_shapes, "Coronary": Union(arteries, _SEAM_MM)}

    @cached_property
    def _large_shapes(self) -> dict[str, Shape]:
        heart, course = self.parameters, self._course_mm
        veins, mouths = vessels.pulmonary_veins(heart, course[10:18])
        muscle = chambers.left_ventricle(heart, heart.wall_mm)
        usual: dict[str, Shape] = {
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
        return {name: shape.stretched(self._stretch) for name, shape in usual.items()}

    @cached_property
    def _arteries(self) -> dict[str, Artery]:
        return coronary_arteries(
            self.parameters, self._large_shapes, self._course_mm[12:24], self._stretch
        )

    @cached_property
    def _stretch(self) -> Stretch:
        r, a, s, shear_as, shear_rs, shear_ra = self.parameters.strain
        strain = np.array(
            [[r, shear_ra, shear_rs], [shear_ra, a, shear_as], [shear_rs, shear_as, s]]
        )
        return Stretch(np.eye(3) + strain, _MIDDLE_MM)

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
        return np.asarray(points_mm @ self._rotation / self.parameters.size + _MIDDLE_MM)

    def _bounds(self, k: int, points_mm: np.ndarray) -> np.ndarray:
        """Values of the k-th shape in the order of precedence: bounds in mm with the right sign."""
        value, _ = evaluate_in_chunks(self._ordered[k], self._to_model(points_mm))
        return value * self.parameters.size
