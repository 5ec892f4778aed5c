"""The Python API, importable from ``vecsetx``: load a model, encode a heart, mesh it."""

from pathlib import Path

from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodeOptions, encode_source
from vecsetx.inference.heart_meshes import RESOLUTION, heart_surfaces
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface


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
) -> HeartField:
    """Encode a heart: a signed distance to each structure, anywhere in scanner space.

    Args:
        model: From :func:`load`.
        heart: A label map, a folder of masks or meshes, or labelled points.
        labels: Name of its label set, or a YAML file; None for the model's own.
        space: Axes of meshes and points that do not state theirs, ``lps`` or ``ras``.
        units: Unit of their coordinates: ``mm``, ``cm``, ``m`` or ``um``.
        refine: Maximum number of steps that optimise the latent set on the observed structures.
        recycle: How many times to feed the reconstruction back.
        seed: Seed of the surface points.

    Returns:
        The heart as a field: see its ``distances_mm`` and ``latent_set``.

    Raises:
        InputError: The heart cannot be read, or ``heart`` is not exactly one.
    """
    named = label_set(labels) if labels else None
    options = EncodeOptions(named, refine=refine, recycle=recycle, seed=seed)
    found = find_hearts([Path(heart)], options.label_set or model.label_set, space, units)
    if len(found) != 1:  # a folder may contain many hearts
        raise InputError(
            f"{heart}: contains {len(found)} hearts ({', '.join(found)}); name one of them"
        )
    return encode_source(next(iter(found.values())), model, options).field


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
