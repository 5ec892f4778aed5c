"""The Python API, importable from ``vecsetx``: load a model, encode a heart, mesh and save it."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.structures import parse_names
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid
from vecsetx.inference.doubts import doubts, inference_remarks
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart, MeshOptions
from vecsetx.inference.heart_files import label_map_files, mesh_files
from vecsetx.inference.heart_meshes import RESOLUTION, HeartMeshes, SurfaceKind, VertexAttributes
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.limits import VOXELS
from vecsetx.model.built_in import built_in_model
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.surfaces import Surface

__all__ = ["doubtful", "encode", "labels", "load", "save", "surfaces"]

_log = logging.getLogger(__name__)


def load(model: str | Path | None = None) -> TrainedModel:
    """Load a trained model.

    Example: ``model = load()``

    Args:
        model: Folder of a run or a saved model, or ``owner/name`` on the Hugging Face Hub; None for
            the built-in model.

    Raises:
        InputError: There is no model, or it is damaged.
    """
    return TrainedModel.from_pretrained(built_in_model() if model is None else model)


def encode(
    model: TrainedModel,
    heart: str | Path,
    labels: str | None = None,
    space: str = "lps",
    units: str = "mm",
    refine: int | None = None,
    recycle: int = 0,
    seed: int = 0,
    trust_names: bool = False,
    *,
    hide: Sequence[str] = (),
    points: int | None = None,
    latents: int | None = None,
    keep_observed: bool = False,
    ensemble: int = 0,
    pose: Literal["anatomy", "scan"] = "anatomy",
    complete: bool = False,
    max_voxels: int = VOXELS,
) -> Heart:
    """Encode a heart: a signed distance to each structure, anywhere in scanner space.

    Remarks on what its files leave open or contradict are logged as warnings, and so is that the
    standard deviations of an ensemble are uncalibrated.

    Example: ``heart = encode(model, "patient.nii.gz", hide=["LAA"], keep_observed=True)``

    Args:
        model: From :func:`load`.
        heart: A label map, a folder of masks or meshes, or labelled points.
        labels: Name of its label set, or a YAML file; None for what the file itself says, or else
            the model's own.
        space: Axes of meshes and points that do not state theirs, ``lps`` or ``ras``.
        units: Unit of their coordinates: ``mm``, ``cm``, ``m`` or ``um``.
        refine: Maximum number of steps that optimise the latent set on the observed structures; 0
            for none. None for 10 if the heart is whole, else none.
        recycle: How many times to feed the reconstruction back.
        seed: Seed of the surface points and of the ensemble.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        hide: Structures to hide from the model, which then infers them.
        points: Number of surface points that the model is shown; None for four times as many as in
            training.
        latents: Number of latents; None for twice as many as in training.
        keep_observed: Whether observed surfaces stay as they are, and the model adds only what is
            missing.
        ensemble: Members of an ensemble, such as 8, which gives each vertex of :func:`surfaces` a
            standard deviation; 0 for none.
        pose: ``anatomy`` turns the heart for the model as its training hearts lie; ``scan`` leaves
            it as it lies. Results lie where the input does with both.
        complete: Whether structures that are shown may go on within the scan, where it shows none
            of them.
        max_voxels: Most voxels of a label map.

    Returns:
        The heart, with ``distances_mm`` and ``latent_set``, to pass to the other functions.

    Raises:
        InputError: The heart cannot be read, anatomy contradicts its structures' names, ``heart``
            is not exactly one, or the options do not fit it, the model or each other.
    """
    options = EncodeOptions(
        label_set(labels) if labels else None,
        hide=parse_names(",".join(hide), model.structures) if hide else (),
        points=points,
        latents=latents,
        seed=seed,
        refine=refine,
        recycle=recycle,
        pose=pose,
        complete=complete,
    )
    usual = model.label_set
    found = find_hearts(
        [Path(heart)],
        options.label_set,
        space,
        units,
        usual,
        trust_names,
        most_voxels=max_voxels,
    )
    if len(found) != 1:  # a folder may contain many hearts
        raise InputError(
            f"{heart}: contains {len(found)} hearts ({', '.join(found)}); name one of them"
        )
    source, sd_factor = next(iter(found.values())), sd_factor_of(None, model) if ensemble else None
    encoded = Heart.of(source, model, options, keep_observed, ensemble, sd_factor)
    for remark in encoded.remarks:
        _log.warning("%s: %s", heart, remark)
    return encoded


def surfaces(
    heart: Heart,
    resolution: int = RESOLUTION,
    resolution_mm: float | None = None,
    kind: SurfaceKind = "shared",
    faces: int | None = None,
) -> dict[str, Surface]:
    """Mesh an encoded heart.

    The coordinates are RAS+ mm. The files of ``vecsetx reconstruct`` and :func:`save` are LPS
    unless asked otherwise: to lay meshes over them, convert with ``to_pyvista(space="lps")`` or
    ``to_trimesh(space="lps")``.

    Example: ``surfaces(heart)["LV"].to_pyvista(space="lps").plot()``

    Args:
        heart: From :func:`encode`.
        resolution: Voxels along the longest side of the grid used for meshing.
        resolution_mm: Edge of its voxels instead, mm.
        kind: ``shared``: neighbours share their walls, without overlaps or gaps; ``closed``: each
            structure is watertight on its own, and thin vessels are complete.
        faces: Number of faces to decimate the heart's meshes to; None for no decimation.

    Returns:
        Structure name → surface in RAS+ mm. Each vertex says whether it is ``observed``, and has
        ``sd_mm``, the standard deviation of its position, if the heart has an ensemble.

    Raises:
        InputError: The field contains no heart, or the grid would have too many voxels.
    """
    meshes = heart.meshes(MeshOptions(resolution, resolution_mm, kind, faces))
    known = heart.vertex_attributes(meshes)
    _warn_of_doubts(heart, meshes, known)
    return {
        name: replace(surface, observed=known.observed[name], sd_mm=known.sd_mm.get(name))
        for name, surface in meshes.surfaces.items()
    }


def labels(heart: Heart, like: str | Path | None = None, resolution: int = RESOLUTION) -> LabelMap:
    """Label the voxels of a grid with the structure that they are deepest inside.

    Example: ``labels(heart, like="ct.nii.gz").labels``

    Args:
        heart: From :func:`encode`.
        like: Image whose grid the label map takes; None for the input's.
        resolution: Voxels along the longest side of the meshing grid, on which specks are found,
            and which takes the place of the input's grid if the input has none (meshes excepted:
            they have one).

    Returns:
        The label map, with the ids of ``heart.label_set`` and 0 for background.

    Raises:
        InputError: ``like`` cannot be read, or the grid would have too many voxels.
    """
    grid = _grid(like)  # first, as meshes take long
    found = heart.label_map(heart.meshes(MeshOptions(resolution)), grid)
    return found.to_label_set(heart.label_set, heart.structures)


def save(
    heart: Heart,
    folder: str | Path,
    resolution: int = RESOLUTION,
    resolution_mm: float | None = None,
    kind: SurfaceKind = "shared",
    faces: int | None = None,
    *,
    like: str | Path | None = None,
    space: str = "lps",
    extension: str = "vtp",
) -> None:
    """Save a heart's meshes and label maps, as ``vecsetx reconstruct`` does.

    The files are those of the command, but for ``summary.json`` and ``heart.html``: a mesh per
    structure, ``heart.glb``, ``interfaces.vtp`` (for shared walls), ``labels.nii.gz``,
    ``inferred.nii.gz`` (if anything is inferred), and the tables ``labels.ctbl`` and
    ``labels.itksnap.txt``.

    Example: ``save(heart, "patient/", extension="stl")``

    Args:
        heart: From :func:`encode`.
        folder: The folder.
        resolution: As for :func:`surfaces`.
        resolution_mm: As for :func:`surfaces`.
        kind: As for :func:`surfaces`.
        faces: As for :func:`surfaces`.
        like: As for :func:`labels`.
        space: Axes of the meshes' coordinates, ``lps`` or ``ras``.
        extension: Format of the meshes: ``vtp``, ``stl``, ``ply`` or ``obj``.

    Raises:
        InputError: As for :func:`surfaces` and :func:`labels`; or the space or the format is not
            supported.
    """
    grid = _grid(like)  # first, as meshes take long
    meshes = heart.meshes(MeshOptions(resolution, resolution_mm, kind, faces))
    known = heart.vertex_attributes(meshes)
    _warn_of_doubts(heart, meshes, known)
    files = [
        *mesh_files(heart, meshes, known, space, extension.lstrip(".")),
        *label_map_files(heart, heart.label_map(meshes, grid)),
    ]
    for file in files:
        if file.write:
            file.write(Path(folder) / file.name)


def doubtful(heart: Heart, resolution: int = RESOLUTION) -> dict[str, list[str] | None]:
    """Say what is doubtful about the structures that the model inferred.

    They are held against the model's training hearts and their own uncertainty. :func:`surfaces`
    and :func:`save` log the same doubts as warnings.

    Example: ``doubtful(heart)["PA"]``

    Args:
        heart: From :func:`encode`.
        resolution: Voxels along the longest side of the grid used for meshing.

    Returns:
        Structure name → doubts, as sentences with the value and its limits; empty if there are
        none; None if it was not checked, because it is observed, or because too few training hearts
        tell what is usual for it.

    Raises:
        InputError: As for :func:`surfaces`.
    """
    meshes = heart.meshes(MeshOptions(resolution))
    trained = heart.trained
    found = doubts(meshes, heart.vertex_attributes(meshes), trained.usual, trained.partial)
    return {name: of for name, of in found.items() if name in heart.expected}


def _warn_of_doubts(heart: Heart, meshes: HeartMeshes, known: VertexAttributes) -> None:
    learned = heart.trained.usual, heart.trained.partial
    for name, found in doubts(meshes, known, *learned).items():
        if found and name in heart.expected:
            _log.warning("%s is doubtful: %s", name, "; ".join(found))
    for remark in inference_remarks(meshes, known, *learned):
        _log.warning("%s", remark)


def _grid(like: str | Path | None) -> Grid | None:
    return None if like is None else Grid(*read_grid(Path(like)))
