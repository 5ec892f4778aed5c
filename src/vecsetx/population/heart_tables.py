"""Between hearts and tables of ordered latents."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from vecsetx.anatomy.frame import UPRIGHT, Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry, Segmentation
from vecsetx.geometry.pose import CHAMBERS
from vecsetx.inference.encode import LATENTS_FACTOR, POINTS_FACTOR
from vecsetx.inference.posing import rotation_of
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import LatentSet
from vecsetx.population.shape_space import HeartTable
from vecsetx.population.template import MISSING, Template, in_units
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.octree import extent_mm
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe
from vecsetx.sampling.samples import Samples

__all__ = [
    "check_ordered",
    "encode_table",
    "field_of",
    "label_map_of",
    "observed_heart",
    "observed_samples",
    "observed_source",
    "template_of",
]

_MARGIN_VOXELS = 3
"""Voxels of background around a label map."""

_NO_NORMALS = (
    "points without normals cannot be placed in a shape space; give a label map, masks, meshes or "
    "prepared samples"
)


def check_ordered(trained: TrainedModel) -> None:
    """Check that a model's latents can be ordered.

    Raises:
        InputError: Its latents are not anchored at surface points.
    """
    queries = trained.network.spec.queries
    if queries != "anchored":
        raise InputError(
            f"this model's queries are {queries!r}; shapes can be compared only where each latent "
            "is anchored at a surface point, so train with model.queries=anchored"
        )


def template_of(heart: Observation, trained: TrainedModel) -> Template:
    """Return a heart as the template; it has as many anchors as ``reconstruct`` has latents."""
    return Template.of(heart, LATENTS_FACTOR * trained.network.spec.anchors)


class EncodedTable(NamedTuple):
    """A heart's table.

    Attributes:
        table: The table.
        frame: The frame of its positions.
        normals: ``[M, 3]`` outward unit normals at the anchors, along the frame's axes; NaN where
            there is no anchor.
    """

    table: HeartTable
    frame: Frame
    normals: Float[np.ndarray, "m 3"]


@torch.no_grad()
def encode_table(
    heart: Observation, trained: TrainedModel, template: Template, cut: Collection[str] = ()
) -> EncodedTable:
    """Encode a heart with the template's anchors, and where the template lies.

    The heart's frame is moved until its chambers' anchors have the template's mean place: the box
    around a heart depends on where its vessels end.

    Args:
        heart: From :func:`observed_samples`.
        trained: The model.
        template: The template.
        cut: Structures that end where the scan does: the encoder sees them, but they have no rows.

    Raises:
        InputError: No row is left.
    """
    anchors = template.carry(heart)
    ends = [k for k, name in enumerate(trained.structures) if name in cut]
    anchors[np.isin(template.structure[: template.anchors], ends)] = MISSING
    there = anchors != MISSING
    if not there.any():
        raise InputError("no structure of the template is whole in it")
    heart = replace(heart, frame=_moved(heart, anchors, template, trained))
    points, normals = in_units(heart)
    device = next(trained.network.parameters()).device
    found = trained.network.encode(
        torch.from_numpy(points)[None].to(device),
        torch.from_numpy(heart.structure)[None].to(device),
        torch.from_numpy(anchors[there])[None].to(device),
        torch.from_numpy(normals)[None].to(device),
    )
    latents = found.latents[0].cpu().numpy()
    table = HeartTable(
        np.zeros((len(anchors), 3), np.float32),
        np.zeros((len(anchors), latents.shape[1]), np.float32),
        there,
    )
    table.positions[there], table.latents[there] = points[anchors[there]], latents
    outward = np.full((len(anchors), 3), np.nan, np.float32)
    outward[there] = normals[anchors[there]]
    return EncodedTable(table, heart.frame, outward)


def _moved(
    heart: Observation, anchors: np.ndarray, template: Template, trained: TrainedModel
) -> Frame:
    """Return a heart's frame, moved so that its chambers' anchors lie where the template's do."""
    chambers = [k for k, name in enumerate(trained.structures) if name in CHAMBERS]
    fixed = anchors != MISSING
    in_chambers = fixed & np.isin(template.structure[: template.anchors], chambers)
    if in_chambers.any():
        fixed = in_chambers
    points, _ = in_units(heart)
    shift = (points[anchors[fixed]] - template.points[: template.anchors][fixed]).mean(axis=0)
    x, y, z = heart.frame.to_mm(shift.astype(np.float64)).tolist()
    return replace(heart.frame, center_mm=(x, y, z))


@torch.no_grad()
def field_of(
    table: HeartTable,
    trained: TrainedModel,
    structures: Collection[str],
    frame: Frame | None = None,
) -> HeartField:
    """Decode a table.

    Args:
        table: The heart.
        trained: The model.
        structures: The structures that the table has anchors of; there are no others.
        frame: The heart's frame; None: around the origin, as the model's training hearts lie.
    """
    frame = frame or Frame((0.0, 0.0, 0.0), trained.mm_per_unit, UPRIGHT)
    device = next(trained.network.parameters()).device
    latent_set = LatentSet(
        torch.from_numpy(table.latents[table.there])[None].to(device),
        torch.from_numpy(table.positions[table.there])[None].to(device),
        torch.zeros(1, device=device),
    )
    tokens = trained.network.process(latent_set)
    only = _Only(tuple(name in structures for name in trained.structures), frame)
    return HeartField(
        trained.network,
        trained.structures,
        frame,
        latent_set,
        tokens,
        trained.truncation,
        domain=frame,
        limit=only,
    )


def label_map_of(field: HeartField, spacing_mm: float) -> LabelMap:
    """Label the voxels of a grid around a heart, 1…K.

    Raises:
        InputError: The field contains no heart.
    """
    low_mm, high_mm = extent_mm(field, *field.domain.domain_mm())
    margin_mm = _MARGIN_VOXELS * spacing_mm
    return rasterize(field, Grid.around(low_mm - margin_mm, high_mm + margin_mm, spacing_mm))


@dataclass(frozen=True, slots=True)
class _Only:
    """Leaves structures out: everywhere is outside of them."""

    kept: tuple[bool, ...]
    frame: Frame

    def __call__(
        self, points_mm: Float[np.ndarray, "n 3"], distances_mm: Float[np.ndarray, "n k"]
    ) -> Float[np.ndarray, "n k"]:
        far_mm = np.float32(self.frame.length_to_mm(1.0))
        return np.where(np.array(self.kept), distances_mm, far_mm)


def observed_heart(
    shown: Geometry | Observation, trained: TrainedModel
) -> tuple[Observation, tuple[str, ...]]:
    """Return the surface points of what is shown of a heart, and which structures the scan cuts.

    Args:
        shown: The heart: structures in space, or labelled surface points with normals.
        trained: The model, as whose training hearts it is posed.

    Raises:
        InputError: Points have no normals.
    """
    rotation = rotation_of(shown, trained, 0)
    if isinstance(shown, Geometry):
        count = POINTS_FACTOR * trained.points
        ends = tuple(n for n, cut in zip(trained.structures, shown.cut, strict=True) if cut)
        return observe(shown, count, trained.mm_per_unit, 0, rotation), ends
    if shown.normals is None:
        raise InputError(_NO_NORMALS)
    return replace(shown, frame=replace(shown.frame, rotation=rotation)), ()


def observed_source(
    source: HeartSource, trained: TrainedModel
) -> tuple[Observation, tuple[str, ...], tuple[str, ...]]:
    """Read a heart of any source that has surfaces, posed as the model's training hearts lie.

    Returns:
        Its surface points, the structures that the scan cuts, and remarks on its files.

    Raises:
        InputError: It cannot be read, or is points without normals.
    """
    heart = source.read(trained.structures, 0, trained.mm_per_unit)
    if isinstance(heart, Samples):
        return observed_samples(heart, trained), heart.info.cut, heart.info.remarks
    if not isinstance(heart, Segmentation):
        raise InputError(f"{source.path}: {_NO_NORMALS}")
    geometry = heart.geometry()
    return *observed_heart(geometry, trained), geometry.label_map.remarks


def observed_samples(samples: Samples, trained: TrainedModel) -> Observation:
    """Return a prepared heart's surface points, posed as the model's training hearts lie.

    Raises:
        InputError: It has no structure that the model knows.
    """
    names, surface = np.array(samples.info.structures), samples.surface
    known = np.isin(names, trained.structures)
    left = np.flatnonzero(known[surface.structure])
    if len(left) == 0:
        raise InputError(f"{samples.info.name}: has no structure that the model knows")
    place = {name: k for k, name in enumerate(trained.structures)}
    number = np.array([place.get(name, 0) for name in names])
    chosen = left[: POINTS_FACTOR * trained.points]
    all_mm = surface.points_mm[left]
    upright = Observation(
        surface.points_mm[chosen],
        number[surface.structure[chosen]].astype(np.int64),
        surface.normals[chosen],
        Frame.around(all_mm, trained.mm_per_unit),
    )
    rotation = rotation_of(upright, trained, 0)
    return replace(upright, frame=Frame.around(all_mm, trained.mm_per_unit, rotation))
