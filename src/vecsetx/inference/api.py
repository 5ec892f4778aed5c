"""The same from Python: what ``from vecsetx import …`` offers."""

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
    """A trained model.

    Args:
        model: A run's folder, a saved model's, or ``owner/name`` on the Hugging Face Hub.

    Raises:
        InputError: There is no model, or it is damaged.
    """
    return TrainedModel.from_pretrained(model)


def encode(
    model: TrainedModel,
    heart: str | Path,
    labels: str | None = None,
    space: str = "lps",
    refine: int = 0,
    recycle: int = 0,
    seed: int = 0,
) -> HeartField:
    """Show a heart to a model: a signed distance per structure, anywhere in the scanner's space.

    Args:
        model: From :func:`load`.
        heart: A label map, a folder of masks or meshes, or labelled points.
        labels: Name of its label set, or a YAML file; None for the model's own.
        space: Axes of meshes and points that do not say theirs, ``lps`` or ``ras``.
        refine: Steps at most in which the latent set is improved on what is observed.
        recycle: How often the model is shown again what it made of the heart.
        seed: Seed of the surface points.

    Raises:
        InputError: The heart cannot be read, or there is not exactly one.
    """
    named = label_set(labels) if labels else None
    options = EncodeOptions(named, refine=refine, recycle=recycle, seed=seed)
    found = find_hearts([Path(heart)], options.label_set or model.label_set, space)
    if len(found) != 1:
        raise InputError(f"{heart}: holds {len(found)} hearts ({', '.join(found)}); name one")
    return encode_source(next(iter(found.values())), model, options).field


def surfaces(field: HeartField, resolution: int = RESOLUTION) -> dict[str, Surface]:
    """Structure name → its surface in RAS+ mm; neighbours share their walls.

    Args:
        field: From :func:`encode`.
        resolution: Voxels along the longest side of the grid that is meshed.
    """
    return heart_surfaces(field, resolution)
