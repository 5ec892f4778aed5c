"""The Python API, importable from ``vecsetx``: load a model, encode a heart, mesh it."""

import logging
from pathlib import Path

from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodeOptions, encode_source
from vecsetx.inference.heart_meshes import RESOLUTION, heart_surfaces
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface

_log = logging.getLogger(__name__)


def load(model: str | Path) -> TrainedModel:
    """Load a trained model.

    Args:
        model: Folder of a run or a saved model, or ``owner/name`` on the Hugging Face Hub.

    Raises:
        InputError: There is no model, or it is damaged.
    """
    return TrainedModel.from_pretrained(model)


def encode(
    model: TrainedModel,
    heart: str | Path,
    labels: str | None = None,
    space: str = "lps",
    units: str = "mm",
    refine: int = 0,
    recycle: int = 0,
    seed: int = 0,
    trust_names: bool = False,
) -> HeartField:
    """Encode a heart: a signed distance to each structure, anywhere in scanner space.

    Remarks on what its files leave open or contradict are logged as warnings.

    Args:
        model: From :func:`load`.
        heart: A label map, a folder of masks or meshes, or labelled points.
        labels: Name of its label set, or a YAML file; None for what the file itself says, or else
            the model's own.
        space: Axes of meshes and points that do not state theirs, ``lps`` or ``ras``.
        units: Unit of their coordinates: ``mm``, ``cm``, ``m`` or ``um``.
        refine: Maximum number of steps that optimise the latent set on the observed structures.
        recycle: How many times to feed the reconstruction back.
        seed: Seed of the surface points.
        trust_names: Whether structures keep their names where anatomy contradicts them.

    Returns:
        The heart as a field: see its ``distances_mm`` and ``latent_set``.

    Raises:
        InputError: The heart cannot be read, anatomy contradicts its structures' names, or
            ``heart`` is not exactly one.
    """
    named = label_set(labels) if labels else None
    options = EncodeOptions(named, refine=refine, recycle=recycle, seed=seed)
    usual = model.label_set
    found = find_hearts([Path(heart)], named, space, units, usual, trust_names)
    if len(found) != 1:  # a folder may contain many hearts
        raise InputError(
            f"{heart}: contains {len(found)} hearts ({', '.join(found)}); name one of them"
        )
    encoded = encode_source(next(iter(found.values())), model, options)
    for remark in encoded.remarks:
        _log.warning("%s: %s", heart, remark)
    return encoded.field


def surfaces(field: HeartField, resolution: int = RESOLUTION) -> dict[str, Surface]:
    """Mesh an encoded heart; neighbours share their walls.

    Args:
        field: From :func:`encode`.
        resolution: Voxels along the longest side of the grid used for meshing.

    Returns:
        Structure name → surface in RAS+ mm.

    Raises:
        InputError: The field contains no heart, or the grid would have too many voxels.
    """
    return heart_surfaces(field, resolution)
