"""``vecsetx reconstruct``: label maps to meshes and label maps, through a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vecsetx import __version__
from vecsetx.anatomy.labelmap import LabelMap, read_grid, write_label_map
from vecsetx.anatomy.source import HeartSource
from vecsetx.errors import InputError
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import (
    EncodeOptions,
    encode_heart,
    encode_observation,
    observe_points,
    read_heart,
)
from vecsetx.pipeline.inputs import find_hearts
from vecsetx.pipeline.progress import steps
from vecsetx.reconstruction.export import write_scene, write_summary, write_surfaces
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import extent_mm
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surfaces import Surface, field_surfaces

RESOLUTION = 192
"""Default voxels along the longest side of the grid that meshes are made on."""


@dataclass(frozen=True, slots=True)
class ReconstructOptions:
    """Choices of a reconstruction.

    Attributes:
        encode: How the label map is shown to the model.
        resolution: Voxels along the longest side of the grid that meshes are made on.
        like: Image whose grid the label map takes; None for the input's own.
        space: ``lps`` or ``ras``, the axes of mesh coordinates.
        extension: Mesh format: vtp, stl, ply or obj.
        input_space: Axes of input meshes and points that do not say theirs.
    """

    encode: EncodeOptions = field(default_factory=EncodeOptions)
    resolution: int = RESOLUTION
    like: Path | None = None
    space: str = "lps"
    extension: str = "vtp"
    input_space: str = "lps"


def reconstruct(
    model: Path, inputs: Sequence[Path], out: Path, options: ReconstructOptions
) -> dict[str, str]:
    """Reconstruct every input into a folder of its own below ``out`` (into ``out`` if it is one).

    Each folder receives a mesh per structure, ``heart.glb``, ``labels.nii.gz`` on the input's grid
    (surfaces and points, which have none, get one), and ``summary.json``. The ids are those of the
    input's label set, or the model's own where that does not know all of the model's structures;
    ``summary.json`` says which.

    Returns:
        The failures: heart → reason. The other hearts are complete.

    Raises:
        InputError: The model or an input cannot be found, an option does not fit, or no heart at
            all could be reconstructed.
    """
    trained = TrainedModel.from_pretrained(model)
    label_set = options.encode.label_set or trained.label_set
    hearts = find_hearts(inputs, label_set, options.input_space)
    like = Grid(*read_grid(options.like)) if options.like else None
    failed: dict[str, str] = {}
    with steps("reconstructing hearts", len(hearts), "hearts") as progress:
        for name, source in hearts.items():
            folder = out / name if len(hearts) > 1 else out
            try:
                _reconstruct_heart(trained, model, source, folder, like, options)
            except InputError as error:
                path = str(source.path)
                failed[name] = str(error) if path in str(error) else f"{path}: {error}"
            progress.advance(note=name)
    if len(failed) == len(hearts):
        raise InputError("\n".join(failed.values()))
    return failed


def heart_surfaces(field: HeartField, resolution: int) -> dict[str, Surface]:
    """Meshes of a field on a grid with ``resolution`` voxels along its longest side."""
    low_mm, high_mm = extent_mm(field, *field.frame.domain_mm())
    return field_surfaces(field, Grid.fitted(low_mm, high_mm, resolution))


def _reconstruct_heart(
    trained: TrainedModel,
    model: Path,
    source: HeartSource,
    folder: Path,
    like: Grid | None,
    options: ReconstructOptions,
) -> None:
    label_set = source.label_set
    grid: Grid | LabelMap
    if source.kind == "points":
        field = encode_observation(
            observe_points(source, trained, options.encode), trained, options.encode
        )
        grid = Grid.fitted(*extent_mm(field, *field.frame.domain_mm()), options.resolution)
    else:
        grid, geometry = read_heart(source, trained.structures, options.encode.drop)
        field = encode_heart(geometry, trained, options.encode)
    surfaces = heart_surfaces(field, options.resolution)
    labels = rasterize(field, like or grid)
    known = set(trained.structures) <= set(label_set.structures)
    ids = label_set if known else trained.label_set
    numbered = labels.numbered(ids, trained.structures)
    for missed in set(trained.structures) - set(surfaces):  # of an earlier reconstruction
        (folder / f"{missed}.{options.extension}").unlink(missing_ok=True)
    write_surfaces(folder, surfaces, trained.structures, options.extension, options.space)
    write_scene(folder / "heart.glb", surfaces, options.space)
    write_label_map(numbered, folder / "labels.nii.gz")
    provenance = {
        "input": str(source.path.resolve()),
        "model": str(model.resolve()),
        "version": __version__,
        "space": options.space.upper(),
        "label_set": ids.to_dict(),
        "mesh_resolution": options.resolution,
        "dropped": list(options.encode.drop),
        "latents": field.latent_set.latents.shape[1],
    }
    write_summary(folder / "summary.json", labels, surfaces, trained.structures, provenance)
