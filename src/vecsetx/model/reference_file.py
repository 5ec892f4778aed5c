"""The file of a model's reference heart: a tensor of surface points for each structure."""

import hashlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vecsetx.anatomy.structures import structure_names
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.geometry.pose import POINTS, ReferenceHeart
from vecsetx.limits import FARTHEST_MM
from vecsetx.special_files import check_no_device

__all__ = ["read_reference", "write_reference"]


def write_reference(path: Path, reference: ReferenceHeart) -> str:
    """Write a reference heart atomically; return the file's hash."""
    points = {
        name: np.ascontiguousarray(found, dtype=np.float32)
        for name, found in reference.points_mm.items()
    }
    content = save(points)
    with written_whole(path) as unfinished:
        unfinished.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read_reference(path: Path, sha256: str) -> ReferenceHeart:
    """Read a reference heart.

    Args:
        path: The file.
        sha256: Its hash.

    Raises:
        InputError: It is missing or damaged.
    """
    points: dict[str, np.ndarray] = {}
    check_no_device(path)
    try:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                raise ValueError("its hash differs from that in model.json")
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                shape = tuple(file.get_slice(name).get_shape())
                if name not in structure_names() or not _fits(shape):
                    raise ValueError(f"{name[:80]!a} of shape {shape}")
                points[name] = file.get_tensor(name)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as a model's reference heart ({error}); copy the model's "
            "folder again, or train the model again"
        ) from error
    for name, found in points.items():
        if found.dtype != np.float32 or not (np.abs(found) <= FARTHEST_MM).all():  # also NaN
            raise InputError(
                f"{path}: damaged reference heart: {name} has points that are not within "
                f"{FARTHEST_MM:g} mm; copy the model's folder again, or train the model again"
            )
    return ReferenceHeart(points)


def _fits(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[1] == 3 and 0 < shape[0] <= POINTS
