"""Affines of images: from voxel indices to RAS+ mm."""

from itertools import product
from pathlib import Path

import numpy as np

from vecsetx.errors import InputError
from vecsetx.limits import ORIGIN_MM, STORED_VOXEL

__all__ = ["check_size", "grid_corners", "regular"]


def grid_corners(shape: tuple[int, ...]) -> np.ndarray:
    """Return the indices ``[8, 3]`` of the corner voxels."""
    return np.array(list(product(*((0.0, n - 1.0) for n in shape[:3]))))


def regular(affine: np.ndarray, path: Path) -> np.ndarray:
    """Return an affine ``[4, 4]`` that gives every voxel a position of its own.

    Raises:
        InputError: It is singular or not finite, lies too far from the scanner's origin, or its
            voxels have a size that they have in no unit of length.
    """
    edges = affine[:3, :3]
    with np.errstate(all="ignore"):  # entries may be infinite or NaN, which is checked below
        # Relative to perpendicular edges of these lengths, so that the voxel size does not matter.
        flat = abs(np.linalg.det(edges)) <= 1e-6 * np.linalg.norm(edges, axis=0).prod()
    if np.isfinite(affine).all() and np.abs(affine[:3, 3]).max() > ORIGIN_MM:
        raise InputError(
            f"{path}: its first voxel lies {np.abs(affine[:3, 3]).max() / 1000:.3g} m from the "
            "scanner's origin; repair the header"
        )
    if not np.isfinite(affine).all() or flat:
        raise InputError(
            f"{path}: the affine is singular or not finite, so voxels have no position in mm; "
            "repair the header"
        )
    check_size(affine, STORED_VOXEL, path)
    return affine


def check_size(affine: np.ndarray, bounds_mm: tuple[float, float], path: Path) -> None:
    """Check the voxel size along each axis.

    Args:
        affine: ``[4, 4]``, finite.
        bounds_mm: Smallest and largest size.
        path: The file, for error messages.

    Raises:
        InputError: A voxel is smaller or larger.
    """
    with np.errstate(over="ignore"):
        sizes_mm = np.linalg.norm(affine[:3, :3], axis=0).round(9)
    low, high = bounds_mm
    if not ((sizes_mm >= low) & (sizes_mm <= high)).all():
        shown = " × ".join(f"{mm:.3g}" for mm in sizes_mm)
        raise InputError(
            f"{path}: its voxels measure {shown} mm, beyond the bounds of {low:g} to {high:g} mm; "
            "correct the header"
        )
