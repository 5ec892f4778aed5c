"""Numbers of samples that anybody may have written, checked before they are used."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from vecsetx.errors import InputError
from vecsetx.limits import ORIGIN_MM
from vecsetx.sampling.samples import Samples

__all__ = ["check_samples"]


def check_samples(samples: Samples, source: Path) -> None:
    """Check the arrays of a heart, whose types and shapes are right.

    Args:
        samples: The heart.
        source: Its file, for error messages.

    Raises:
        InputError: A point is not finite, or lies too far from the scanner's origin; a distance is
            not a number; or a structure does not exist.
    """
    for group in ("surface", "near", "volume"):
        points = getattr(samples, group)
        for field in fields(points):
            values = getattr(points, field.name)
            if np.isnan(values).any():
                raise _wrong(source, f"{group}.{field.name} has what is not a number")
        if not (np.abs(points.points_mm) <= ORIGIN_MM).all():
            raise _wrong(source, f"{group}.points_mm has points beyond {ORIGIN_MM:g} mm")
    surface = samples.surface
    if len(surface.points_mm) == 0:
        raise _wrong(source, "it has no surface points")
    if surface.structure.min() < 0 or surface.structure.max() >= len(samples.info.structures):
        raise _wrong(source, "surface.structure has an index without a structure")
    if not np.isfinite(surface.normals).all():
        raise _wrong(source, "surface.normals are not finite")


def _wrong(source: Path, what: str) -> InputError:
    return InputError(f"{source}: damaged samples: {what}; copy or prepare the heart again")
