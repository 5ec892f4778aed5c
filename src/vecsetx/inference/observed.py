"""The observed heart as a batch of query points, on which its latent set is refined."""

from collections.abc import Collection

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vecsetx.anatomy.frame import Frame
from vecsetx.data.batch import Batch, Queries, SurfaceQueries
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.view import known_mm
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import SamplingSpec, draw_samples
from vecsetx.sampling.samples import Samples

__all__ = ["of_geometry", "of_points", "of_samples"]

_SAMPLING = SamplingSpec(surface_points=12_000, near_points=18_000, volume_points=9000)
"""Query points; each refinement step uses a part of them. Their number does not depend on that of
the steps, so that refinements of different length are judged at the same points."""


def of_geometry(geometry: Geometry, frame: Frame, seed: int) -> Batch:
    """Points of a heart with their distances, drawn as ``prepare`` draws them.

    Structures that are not present are unknown: they may be hidden, or outside the scan.

    Args:
        geometry: The heart.
        frame: The frame in which it was encoded.
        seed: Seed of the points.
    """
    # Another stream than that of the encoder's points, which have the seed alone.
    generator = np.random.default_rng([seed, 1])
    surface, near, volume = draw_samples(geometry, frame, _SAMPLING, generator)
    present = geometry.present()
    surface_group, near_group, volume_group = (
        _in_units(
            frame,
            points.points_mm,
            points.distances_mm,
            np.where(present, known_mm(points.edge_mm, geometry.cut), -np.inf).astype(np.float32),
        )
        for points in (surface, near, volume)
    )
    return _batch(
        surface_group,
        surface.structure.astype(np.int64),
        frame.to_axes(surface.normals),
        near_group,
        volume_group,
    )


def of_points(observation: Observation, structure_count: int) -> Batch:
    """Labelled surface points: each is known to lie on its own structure's surface, no more.

    Args:
        observation: The points and their frame.
        structure_count: K.
    """
    count = len(observation.points_mm)
    rows = np.arange(count)
    distances = np.full((count, structure_count), np.inf, dtype=np.float32)
    known = np.full((count, structure_count), -np.inf, dtype=np.float32)
    # Distance 0 to the own structure; to the others, unknown.
    distances[rows, observation.structure], known[rows, observation.structure] = 0, np.inf
    points = observation.frame.to_unit(observation.points_mm).astype(np.float32)
    none = torch.empty(1, 0, structure_count)
    empty = Queries(torch.empty(1, 0, 3), none, none)
    return _batch(
        Queries(_tensor(points), _tensor(distances), _tensor(known)),
        observation.structure,
        np.zeros((count, 3), dtype=np.float32),
        empty,
        empty,
    )


def of_samples(
    samples: Samples, structures: tuple[str, ...], hide: Collection[str], frame: Frame
) -> Batch:
    """The samples of a heart.

    Args:
        samples: The heart.
        structures: The model's; others in the samples are left out.
        hide: Structures that are hidden, and so unknown.
        frame: The frame in which the heart was encoded.
    """
    shown = np.isin(samples.info.structures, [n for n in structures if n not in hide])
    number = _indices(structures, samples.info.structures)
    rows = np.flatnonzero(shown[samples.surface.structure])
    surface_group, near_group, volume_group = (
        _in_units(
            frame,
            points.points_mm[chosen],
            _columns(points.distances_mm, number, shown, len(structures), np.inf)[chosen],
            _columns(
                samples.info.known_mm(points.edge_mm), number, shown, len(structures), -np.inf
            )[chosen],
        )
        for points, chosen in (
            (samples.surface, rows),
            (samples.near, slice(None)),
            (samples.volume, slice(None)),
        )
    )
    return _batch(
        surface_group,
        number[samples.surface.structure[rows]],
        frame.to_axes(samples.surface.normals[rows]),
        near_group,
        volume_group,
    )


def _indices(structures: tuple[str, ...], names: tuple[str, ...]) -> Int[np.ndarray, " n"]:
    """The index of each name among ``structures``; -1 for a name that is not there."""
    return np.array([structures.index(name) if name in structures else -1 for name in names])


def _columns(
    values: Float[np.ndarray, "q n"],
    number: Int[np.ndarray, " n"],
    shown: np.ndarray,
    structure_count: int,
    default: float,
) -> Float[np.ndarray, "q k"]:
    """Values per structure of the samples, in the model's columns; a default where not shown."""
    found = np.full((len(values), structure_count), default, dtype=np.float32)
    found[:, number[shown]] = values[:, shown]
    return found


def _in_units(
    frame: Frame, points_mm: np.ndarray, distances_mm: np.ndarray, largest_known_mm: np.ndarray
) -> Queries:
    return Queries(
        _tensor(frame.to_unit(points_mm)),
        _tensor(frame.length_to_unit(distances_mm)),
        _tensor(frame.length_to_unit(largest_known_mm)),
    )


def _batch(
    surface: Queries,
    structure: Int[np.ndarray, " q"],
    normals: Float[np.ndarray, "q 3"],
    near: Queries,
    volume: Queries,
) -> Batch:
    """A batch of one heart with these queries, and no points for the encoder."""
    return Batch(
        points=torch.empty(1, 0, 3),
        structure=torch.empty(1, 0, dtype=torch.int64),
        normals=torch.empty(1, 0, 3),
        surface=SurfaceQueries(
            surface.points, surface.distances, surface.known, _tensor(structure), _tensor(normals)
        ),
        near=near,
        volume=volume,
        taught=torch.zeros(1, near.distances.shape[2], dtype=torch.bool),
    )


def _tensor(values: np.ndarray) -> Tensor:
    """One heart's values as a batch."""
    return torch.from_numpy(values)[None]
