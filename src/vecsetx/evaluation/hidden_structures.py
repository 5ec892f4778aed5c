"""Errors and standard deviations of structures that a model infers, for calibration.

Each structure of a heart is hidden in turn and reconstructed from the others.
"""

import numpy as np

from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import source_of
from vecsetx.evaluation.calibration import VertexErrors, vertex_errors
from vecsetx.evaluation.cut import cut_errors
from vecsetx.evaluation.heart_measurement import HeartMeasurement
from vecsetx.evaluation.reconstruction_scores import SingleStructureField
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.ensemble import encode_ensemble
from vecsetx.inference.visibility import Visibility
from vecsetx.model.saved import TrainedModel
from vecsetx.progress import counted_parts
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import evaluate_exclusive
from vecsetx.reconstruction.surfaces import Surface, octree_surfaces

__all__ = ["SPACING_MM", "measure_heart"]

SPACING_MM = 1.5
"""Voxel edge of the grid on which the hidden structures are meshed."""


def measure_heart(
    dataset: DataSet, heart: HeartEntry, trained: TrainedModel, members: int, seed: int
) -> HeartMeasurement:
    """Measure the errors of a heart's structures, each hidden in turn, and beyond a cut.

    Args:
        dataset: The data set.
        heart: One of its hearts.
        trained: The model.
        members: Number of members of each ensemble.
        seed: Seed of everything that is drawn.

    Raises:
        InputError: The heart cannot be read.
    """
    whole = source_of(dataset, heart).segmentation(trained.structures).geometry()
    errors = _errors_of(heart, whole, trained, members, seed)
    beyond = _errors_beyond(heart, whole, trained, members, seed)
    return HeartMeasurement(errors, beyond, whole.label_map.remarks)


def _errors_of(
    heart: HeartEntry, whole: Geometry, trained: TrainedModel, members: int, seed: int
) -> dict[str, VertexErrors]:
    """Structure → its errors when it is hidden; no vertices if the model missed it."""
    structures = trained.structures
    visibility = Visibility.of_geometry(whole)
    annotated = whole.present() & np.isin(structures, heart.annotated)
    found: dict[str, VertexErrors] = {}
    for k in counted_parts(np.flatnonzero(annotated).tolist(), "hiding structures"):
        # Hide this structure, and reconstruct it from the others.
        hidden = np.arange(len(structures)) == k
        shown = whole.without(hidden)
        if not shown.present().any():
            continue
        field = encode_heart(shown, trained, EncodeOptions(seed=seed))
        grid = Grid.around(*field.domain.domain_mm(), SPACING_MM)
        alone = evaluate_exclusive(SingleStructureField(field, structures[k]), grid)
        surface = octree_surfaces(alone).get(structures[k])
        if surface is None:
            found[structures[k]] = VertexErrors.joined([])
            continue
        vertices_mm, faces = whole.closed[k]
        pair = surface, Surface(vertices_mm.astype(np.float32), faces)
        ensemble = encode_ensemble(shown, trained, members, seed, domain=field.domain)
        # A generator per structure and heart, so that neither depends on what else is measured.
        generator = np.random.default_rng([seed, k, *heart.name.encode()])
        found[structures[k]] = vertex_errors({k: pair}, ensemble, generator, known=visibility)
    return found


def _errors_beyond(
    heart: HeartEntry, whole: Geometry, trained: TrainedModel, members: int, seed: int
) -> VertexErrors:
    """Errors of the completion beyond a plane that cuts the heart."""
    unannotated = ~np.isin(trained.structures, heart.annotated)
    return cut_errors(heart.name, whole.without(unannotated), trained, members, seed)
