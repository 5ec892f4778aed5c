"""A beating synthetic heart: one phantom over its cycle, with its true volumes."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from vecsetx.anatomy.phantom import chambers
from vecsetx.anatomy.phantom.parameters import Parameters
from vecsetx.anatomy.phantom.phantom_heart import STRUCTURES, PhantomHeart
from vecsetx.anatomy.phantom.shapes import evaluate_in_chunks

__all__ = ["PERIOD_MS", "BeatingPhantom", "contraction_at", "end_systole_of", "volumes_ml"]

PERIOD_MS = 800.0
"""Length of a cycle: 75 beats a minute."""

_SYSTOLE = 0.4
"""Share of the cycle from end diastole to end systole."""

# Mean and spread, over hearts, of what changes until end systole; all relative.
_RADIUS, _LENGTH, _RV, _ATRIA = (-0.36, 0.03), (-0.12, 0.02), (-0.48, 0.04), (0.10, 0.015)

_TRUE_MM = 1.0
"""Edge of the voxels in which true volumes are counted."""

_MUSCLE_MM, _AROUND_MM = 2.5, 75.0
"""While the wall's thickness is sought: spacing of points, and how far from the LV they reach."""

_THICKEST = 2.0
"""How many times thicker the wall gets at most."""

_GRID_MM = 160.0
"""Edge of the grid that holds a heart of size 1 whole."""


def end_systole_of(frames: int) -> int:
    """Return the index of the frame of end systole among those of a cycle; 0 is end diastole."""
    return max(1, round(_SYSTOLE * frames))


def contraction_at(frame: int, frames: int) -> float:
    """Return how far a heart is contracted: 0 at end diastole, 1 at end systole.

    Args:
        frame: Index of the frame in its cycle.
        frames: Frames of a cycle, two or more.
    """
    systole = end_systole_of(frames)
    if frame <= systole:
        return float(0.5 - 0.5 * np.cos(np.pi * frame / systole))
    return float(0.5 + 0.5 * np.cos(np.pi * (frame - systole) / (frames - systole)))


@dataclass(frozen=True)
class BeatingPhantom:
    """A phantom that beats.

    Both ventricles get smaller from end diastole to end systole, and the atria larger. The left
    ventricle's wall gets thicker, so that its muscle keeps its volume. The valves, great vessels
    and pulmonary veins stay.

    Attributes:
        rest: The heart at end diastole.
        radius: Change of the left ventricle's inner radius until end systole, relative.
        length: Change of both ventricles' length.
        rv: Change of the distance between the right ventricle's free wall and the septum.
        atria: Change of the atria's radii.
    """

    rest: Parameters
    radius: float = _RADIUS[0]
    length: float = _LENGTH[0]
    rv: float = _RV[0]
    atria: float = _ATRIA[0]

    @classmethod
    def random(cls, generator: np.random.Generator, scale: float = 1.0) -> "BeatingPhantom":
        """Draw a random heart; at end diastole, it is the one that :class:`PhantomHeart` draws.

        Args:
            generator: Source of the random parameters.
            scale: Factor on the heart's size.
        """
        rest = PhantomHeart.random(generator, scale).parameters

        def around(mean: float, spread: float) -> float:
            return float(mean + spread * np.clip(generator.standard_normal(), -2, 2))

        return cls(rest, around(*_RADIUS), around(*_LENGTH), around(*_RV), around(*_ATRIA))

    def at(self, contraction: float) -> PhantomHeart:
        """Return the heart at a moment of its cycle.

        Args:
            contraction: From 0, end diastole, to 1, end systole.
        """
        if contraction == 0:
            return PhantomHeart(self.rest)
        thin = self._contracted(contraction)
        muscle = _Muscle(thin)
        wall_mm = brentq(
            lambda wall_mm: muscle.ml(wall_mm) - self._muscle_ml,
            self.rest.wall_mm * 0.9,
            self.rest.wall_mm * _THICKEST,
            xtol=0.005,
        )
        return PhantomHeart(replace(thin, wall_mm=float(wall_mm)))

    def cycle(self, frames: int) -> list[PhantomHeart]:
        """Return the heart in each frame of a cycle, from end diastole on.

        Args:
            frames: Their number, two or more.
        """
        return [self.at(contraction_at(frame, frames)) for frame in range(frames)]

    @cached_property
    def _muscle_ml(self) -> float:
        return _Muscle(self.rest).ml(self.rest.wall_mm)

    def _contracted(self, contraction: float) -> Parameters:
        """Return the parameters of a moment, but for the wall's thickness."""
        rest = self.rest

        def times(change: float, radii: tuple[float, float, float]) -> tuple[float, float, float]:
            first, second, third = (radius * (1 + contraction * change) for radius in radii)
            return first, second, third

        return replace(
            rest,
            lv_radius_mm=rest.lv_radius_mm * (1 + contraction * self.radius),
            lv_length_mm=rest.lv_length_mm * (1 + contraction * self.length),
            rv_squeeze=1 + contraction * self.rv,
            rv_length=rest.rv_length * (1 + contraction * self.length),
            mitral_width=(1 + contraction * self.radius) / (1 + contraction * self.atria),
            la_radii=times(self.atria, rest.la_radii),
            ra_radii=times(self.atria, rest.ra_radii),
        )


def volumes_ml(heart: PhantomHeart, spacing_mm: float = _TRUE_MM) -> dict[str, float]:
    """Return the volume of each structure, counted in small voxels that hold the whole heart.

    Args:
        heart: The heart.
        spacing_mm: Edge of the voxels at size 1.
    """
    edge_mm = spacing_mm * heart.parameters.size
    labels = heart.voxelize(round(_GRID_MM / spacing_mm), edge_mm).labels
    counts = np.bincount(labels.ravel(), minlength=len(STRUCTURES) + 1)[1:]
    return dict(zip(STRUCTURES, (counts * edge_mm**3 / 1000).tolist(), strict=True))


class _Muscle:
    """The volume of a heart's muscle, for any thickness of the wall up to a largest one.

    Args:
        heart: The heart; its own thickness does not matter.
    """

    def __init__(self, heart: Parameters) -> None:
        self._heart, self._stretch = heart, PhantomHeart(heart).stretch
        steps = np.arange(-_AROUND_MM, _AROUND_MM, _MUSCLE_MM)
        points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
        self._points = points[self._value(_THICKEST * heart.wall_mm, points) < _MUSCLE_MM]
        # What precedes the muscle does not depend on the wall.
        shapes = PhantomHeart(heart).large_shapes
        before = [evaluate_in_chunks(shapes[k], self._points)[0] for k in ("LV", "Aorta", "LA")]
        self._outside = np.min(before, axis=0)

    def ml(self, wall_mm: float) -> float:
        """Return the volume, ml at size 1; of voxels at the surface, a share counts."""
        value = np.maximum(self._value(wall_mm, self._points), -self._outside)
        return float(np.clip(0.5 - value / _MUSCLE_MM, 0, 1).sum() * _MUSCLE_MM**3 / 1000)

    def _value(self, wall_mm: float, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        shape = chambers.left_ventricle(self._heart, wall_mm).stretched(self._stretch)
        return evaluate_in_chunks(shape, points)[0]
