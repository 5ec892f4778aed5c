"""A heart of simple bodies sliced as cine MRI shows it, and its true distances."""

from functools import cache

import numpy as np
from sliced_hearts import as_views

from support.analytic_fields import AnalyticField, all_of, ball, half_space, tube
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.views.slices import Slice, slices_of

NAMES = ("Myocardium", "LA", "LV", "RA", "RV")
_BLOOD = tube((0, 0, -30), (0, 0, 20), 22)
_BELOW = half_space((0, 0, 1), 25)
BODIES = {
    "Myocardium": all_of(
        tube((0, 0, -30), (0, 0, 20), 32), lambda p: -all_of(_BLOOD, _BELOW)(p), _BELOW
    ),
    "LA": ball((0, 6, 52), 24),
    "LV": all_of(_BLOOD, _BELOW),
    "RA": ball((52, -4, 50), 22),
    "RV": tube((50, 4, -20), (52, -2, 10), 17),
}


def true_distances(_: object = None):
    """What :func:`vecsetx.views.with_model.by_model` returns, with the truth for a model."""
    return lambda _: AnalyticField(BODIES, truncation_mm=20.0).distances_mm


@cache
def heart(size: float = 1.0) -> LabelMap:
    """The bodies' label map, of a heart ``size`` times as large."""
    corner, spacing = np.array([-40.0, -40.0, -70.0]), 1.5
    shape = tuple(np.ceil(np.array([125.0, 85.0, 160.0]) / spacing).astype(int))
    affine = np.diag([spacing * size, spacing * size, spacing * size, 1.0])
    affine[:3, 3] = corner * size
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = indices * spacing + corner
    distances = np.stack([body(points) for body in BODIES.values()], axis=-1)
    labels = np.where(distances.min(axis=-1) < 0, distances.argmin(axis=-1) + 1, 0)
    return LabelMap(labels.astype(np.uint8), affine)


@cache
def cine(
    largest_mm: float = 6.0, size: float = 1.0, seed: int = 0
) -> tuple[dict[str, LabelMap], dict[str, np.ndarray]]:
    """Views of the heart, and the true shifts of each one's slices."""
    views, shifts = as_views(heart(size), NAMES, largest_mm, np.random.default_rng(seed))
    return views, {name: np.array(own) for name, own in shifts.items()}


def sliced(views: dict[str, LabelMap]) -> list[Slice]:
    """All slices of some views."""
    return [
        one
        for number, (name, view) in enumerate(views.items())
        for one in slices_of(view, f"{name}.nii.gz", name, number, len(NAMES))
    ]


def true_shifts(slices: list[Slice], shifts: dict[str, np.ndarray]) -> np.ndarray:
    """The true shift of each slice, ``[S, 3]``."""
    views = list(shifts)
    return np.stack([shifts[views[one.view]][one.number - 1] for one in slices])
