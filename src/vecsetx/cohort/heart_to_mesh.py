"""What of a heart is meshed: its own surfaces, or a model's reconstruction of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError
from vecsetx.evaluation.misfit import misfit
from vecsetx.evaluation.reconstructed_heart import ReconstructedHeart
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.doubts import doubts, inference_remarks
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart, MeshOptions
from vecsetx.model.built_in import BUILT_IN

__all__ = ["HeartToMesh", "ReconstructingModel", "as_reconstructed", "as_segmented"]


@dataclass(frozen=True, slots=True)
class HeartToMesh:
    """A heart's surfaces.

    Attributes:
        geometry: Its K structures.
        structures: Their names.
        label_set: Their ids.
        remarks: Notes on its files and on its reconstruction, as sentences.
        doubts: Structure → what speaks against its reconstruction, as a sentence.
        misfit: Why its reconstruction is not to be used; empty if nothing is wrong with it.
    """

    geometry: Geometry
    structures: tuple[str, ...]
    label_set: LabelSet
    remarks: tuple[str, ...]
    doubts: Mapping[str, str] = field(default_factory=dict)
    misfit: str = ""


@dataclass(frozen=True, slots=True)
class ReconstructingModel:
    """A model whose reconstructions are meshed.

    Attributes:
        model: The model.
        name: How results name it.
        refine: Steps of refinement; None for the usual number.
    """

    model: WorkingModel
    name: str
    refine: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data of all that results depend on."""
        return {"model": self.model.to_dict(), "name": self.name, "refine": self.refine}


def as_segmented(source: HeartSource) -> HeartToMesh:
    """Return a heart as its files have it.

    Raises:
        InputError: It cannot be read, or has no volume.
    """
    source = source.resolved()
    segmentation = source.segmentation(source.label_set.structures)
    geometry = segmentation.geometry()
    remarks = tuple(geometry.label_map.remarks)
    return HeartToMesh(geometry, segmentation.structures, source.label_set, remarks)


def as_reconstructed(source: HeartSource, model: ReconstructingModel, seed: int) -> HeartToMesh:
    """Return a heart as a model reconstructs it, as ``vecsetx reconstruct`` does.

    Args:
        source: The heart.
        model: The model.
        seed: Seed of the points that the model is shown.

    Raises:
        InputError: It cannot be read or encoded, or nothing of a heart comes out.
    """
    trained = model.model.trained()
    try:
        heart = Heart.of(source, trained, EncodeOptions(refine=model.refine, seed=seed))
        meshes = heart.meshes(MeshOptions())
    except InputError as error:
        message, path = str(error), str(source.path)
        raise InputError(message if path in message else f"{path}: {message}") from error
    known, walls = heart.vertex_attributes(meshes), meshes.interfaces
    assert walls is not None  # shared surfaces have them
    surfaces = (walls.closed_surface(k) for k in range(1, len(heart.structures) + 1))
    geometry = Geometry.of_surfaces([(v.astype(np.float64), faces) for v, faces in surfaces])
    unlike = None
    if model.name == BUILT_IN:  # of other models it is not known how well they do usually
        labels = heart.label_map(meshes, None)
        made = ReconstructedHeart(source, heart, meshes, known, labels, {})
        unlike = misfit(made.agreement, made.observed)
    learned = trained.usual, trained.partial
    found = {name: why for name, why in doubts(meshes, known, *learned).items() if why}
    return HeartToMesh(
        geometry,
        heart.structures,
        heart.label_set,
        (*heart.remarks, *inference_remarks(meshes, known, *learned)),
        {name: f"{name} is doubtful: {'; '.join(why)}" for name, why in found.items()},
        unlike or "",
    )
