"""New hearts of a shape space, with volumes as asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2, truncnorm

from vecsetx.anatomy.structures import find_structure
from vecsetx.errors import InputError
from vecsetx.population.space_file import SavedSpace
from vecsetx.suggestions import unknown

__all__ = ["VolumeRange", "check_volumes", "draw"]

_TOLERANCE = 0.02
"""Volumes that are asked for are met within this share."""

_FARTHEST = 0.9999
"""Hearts farther from the mean than this share of all draws are none of the space."""

_CORRECTIONS = 8
"""Most corrections of a heart's coordinates until its volumes are met."""

_RIDGE = 1.0
"""How much the regression of volumes on coordinates is kept small: fewer hearts than modes would
explain volumes by chance."""


@dataclass(frozen=True, slots=True)
class VolumeRange:
    """A volume that is asked for.

    Attributes:
        low_ml: Smallest volume.
        high_ml: Largest volume; the same for one volume.
    """

    low_ml: float
    high_ml: float


def check_volumes(saved: SavedSpace, asked: Mapping[str, VolumeRange]) -> None:
    """Check that the cohort's hearts span the volumes that are asked for.

    Raises:
        InputError: They do not, or they lack the structure.
    """
    for name, wanted in asked.items():
        if name not in saved.structures:
            there = ", ".join(saved.structures)
            what = f"the space has no {name}; choose from {there}"
            if find_structure(name) is None:
                what = unknown("structure", name, saved.structures)
            raise InputError(f"--volume {name}: {what}")
        of_cohort = saved.cohort.volumes_ml[:, saved.structures.index(name)]
        low, high = np.nanmin(of_cohort), np.nanmax(of_cohort)
        text = f"{wanted.low_ml:g}" + (
            f":{wanted.high_ml:g}" if wanted.high_ml > wanted.low_ml else ""
        )
        if wanted.low_ml < low or wanted.high_ml > high:
            raise InputError(
                f"--volume {name}={text}: the hearts that the space was fitted to span "
                f"{low:.1f} to {high:.1f} ml, and it knows nothing of others; ask for volumes "
                "between them"
            )


def draw(
    saved: SavedSpace,
    generator: np.random.Generator,
    asked: Mapping[str, VolumeRange],
    volumes_ml: Callable[[np.ndarray], np.ndarray],
) -> Float[np.ndarray, " k"]:
    """Draw the coordinates of a new heart.

    Coordinates are standard normal, as those of the cohort on average. Where volumes are asked for,
    their logarithms are taken to be linear in the coordinates; the draw is then a conditional
    normal distribution, in closed form. The heart's true volumes correct the coordinates until they
    are met.

    Args:
        saved: The space.
        generator: Source of the draw.
        asked: Structure → its volume; checked by :func:`check_volumes`.
        volumes_ml: Returns the volumes ``[S]`` of the heart at coordinates.

    Raises:
        InputError: The volumes are not met: together, they are those of no heart of the space.
    """
    coordinates = generator.standard_normal(len(saved.space.sd))
    if not asked:
        return coordinates
    columns = [saved.structures.index(name) for name in asked]
    logs = np.log(saved.cohort.volumes_ml[:, columns])
    target = np.array(
        [
            _drawn(values[np.isfinite(values)], wanted, generator)
            for values, wanted in zip(logs.T, asked.values(), strict=True)
        ]
    )
    slope, mean = _regression(saved.cohort.coordinates, logs)
    # The smallest change of the coordinates that changes the volumes by so much: of a standard
    # normal draw, it gives a draw from the conditional distribution.
    coordinates = coordinates + np.linalg.pinv(slope) @ (target - mean - slope @ coordinates)
    change, before = np.zeros(len(coordinates)), np.zeros(len(columns))
    for _ in range(_CORRECTIONS + 1):
        found = np.log(np.maximum(volumes_ml(coordinates)[columns], 1e-6))
        if _is_met(found, target):
            break
        if change.any():  # what the last change did (Broyden, Math Comp 1965;19:577)
            slope = slope + np.outer(found - before - slope @ change, change) / (change @ change)
        change, before = np.linalg.pinv(slope) @ (target - found), found
        coordinates = coordinates + change
    met = _is_met(found, target)
    if met and (coordinates**2).sum() <= chi2.ppf(_FARTHEST, len(coordinates)):
        return coordinates
    wanted = ", ".join(f"{name} {np.exp(t):.1f} ml" for name, t in zip(asked, target, strict=True))
    reached = ", ".join(f"{ml:.1f}" for ml in np.exp(found))
    why = "would be unlike all hearts of the space" if met else f"was not found ({reached} ml)"
    raise InputError(f"a heart with {wanted} {why}; ask for fewer or other volumes")


def _is_met(found: np.ndarray, target: np.ndarray) -> bool:
    """Whether log volumes are within half of the tolerance: they may be those of a coarse grid."""
    return bool((np.abs(np.expm1(found - target)) <= _TOLERANCE / 2).all())


def _drawn(logs: np.ndarray, wanted: VolumeRange, generator: np.random.Generator) -> float:
    """Draw a log volume within a range, as the cohort's are distributed."""
    low, high = np.log([wanted.low_ml, wanted.high_ml])
    if low == high:
        return float(low)
    mean, sd = float(logs.mean()), max(float(logs.std(ddof=1)), 1e-6)
    shares = truncnorm.cdf([low, high], -np.inf, np.inf, mean, sd)
    return float(truncnorm.ppf(generator.uniform(*shares), -np.inf, np.inf, mean, sd))


def _regression(coordinates: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes ``[c, k]`` and means ``[c]`` of log volumes over the coordinates."""
    slopes, means = [], []
    for values in logs.T:
        there = np.isfinite(values)
        x, mean = coordinates[there], float(values[there].mean())
        normal = x.T @ x + _RIDGE * np.eye(x.shape[1])
        slopes.append(np.linalg.solve(normal, x.T @ (values[there] - mean)))
        means.append(mean)
    return np.array(slopes), np.array(means)
