"""What is observed of a heart, as a batch of query points: what a latent set is refined on."""

from collections.abc import Collection

import numpy as np
import torch
from jaxtyping import Int

from vecsetx.anatomy.frame import Frame
from vecsetx.data.batch import Batch
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.sampler import Observation, SamplingSpec, draw_samples
from vecsetx.sampling.samples import QueryPoints, Samples, SurfacePoints
from vecsetx.sampling.view import known_mm

_SAMPLING = SamplingSpec(surface_points=16_000, near_points=24_000, volume_points=12_000)


def of_geometry(geometry: Geometry, frame: Frame, seed: int) -> Batch:
    """Points of a heart with their distances, as preparing it would draw them.

    Structures that are not there are unknown: they may be hidden, or beyond the scan.
    """
    generator = np.random.default_rng([seed, 1])
    surface, near, volume = draw_samples(geometry, frame, _SAMPLING, generator)
    present = geometry.present()
    found: dict[str, np.ndarray] = {}
    groups: dict[str, SurfacePoints | QueryPoints]
    groups = {"surface": surface, "near": near, "volume": volume}
    for group, points in groups.items():
        known = np.where(present, known_mm(points.edge_mm, geometry.cut), -np.inf)
        found |= _group(group, points, known.astype(np.float32), frame)
    found |= {
        "surface_structure": surface.structure.astype(np.int64),
        "surface_normals": surface.normals,
    }
    return _batch(found)


def of_points(observation: Observation, structure_count: int) -> Batch:
    """Labelled surface points: each lies on its own structure's surface; nothing else is known."""
    count = len(observation.points_mm)
    rows = np.arange(count)
    distances = np.full((count, structure_count), np.inf, dtype=np.float32)
    known = np.full((count, structure_count), -np.inf, dtype=np.float32)
    distances[rows, observation.structure], known[rows, observation.structure] = 0, np.inf
    nowhere = np.empty((0, structure_count), dtype=np.float32)
    found = {
        "surface": observation.frame.to_unit(observation.points_mm).astype(np.float32),
        "surface_distances": distances,
        "surface_known": known,
        "surface_structure": observation.structure,
        "surface_normals": np.zeros((count, 3), dtype=np.float32),
    }
    for group in ("near", "volume"):
        found[group] = np.empty((0, 3), dtype=np.float32)
        found[f"{group}_distances"] = found[f"{group}_known"] = nowhere
    return _batch(found)


def of_samples(
    samples: Samples, structures: tuple[str, ...], drop: Collection[str], frame: Frame
) -> Batch:
    """A heart's samples as they are.

    Args:
        samples: The heart.
        structures: Those of the model; others are left out.
        drop: Structures that are hidden: nothing is known of them.
        frame: Of what the model was shown.
    """
    shown = np.isin(samples.info.structures, [n for n in structures if n not in drop])
    number = numbers_among(structures, samples.info.structures)
    rows = np.flatnonzero(shown[samples.surface.structure])
    found: dict[str, np.ndarray] = {}
    for group, chosen in (("surface", rows), ("near", slice(None)), ("volume", slice(None))):
        points: SurfacePoints | QueryPoints = getattr(samples, group)
        distances_mm = np.full((len(points.points_mm), len(structures)), np.inf, dtype=np.float32)
        known_mm = np.full_like(distances_mm, -np.inf)
        distances_mm[:, number[shown]] = points.distances_mm[:, shown]
        known_mm[:, number[shown]] = samples.info.known_mm(points.edge_mm)[:, shown]
        found[group] = frame.to_unit(points.points_mm[chosen])
        found[f"{group}_distances"] = frame.length_to_unit(distances_mm[chosen])
        found[f"{group}_known"] = frame.length_to_unit(known_mm[chosen])
    found["surface_structure"] = number[samples.surface.structure[rows]]
    found["surface_normals"] = samples.surface.normals[rows]
    return _batch(found)


def numbers_among(structures: tuple[str, ...], names: tuple[str, ...]) -> Int[np.ndarray, " n"]:
    """The index of each name among ``structures``; -1 for one that is not there."""
    return np.array([structures.index(name) if name in structures else -1 for name in names])


def _group(
    group: str, points: SurfacePoints | QueryPoints, known_mm: np.ndarray, frame: Frame
) -> dict[str, np.ndarray]:
    return {
        group: frame.to_unit(points.points_mm),
        f"{group}_distances": frame.length_to_unit(points.distances_mm),
        f"{group}_known": frame.length_to_unit(known_mm),
    }


def _batch(queries: dict[str, np.ndarray]) -> Batch:
    """A batch of one heart with these query points, and nothing for an encoder."""
    nothing = {
        "points": np.empty((0, 3), dtype=np.float32),
        "structure": np.empty(0, dtype=np.int64),
        "normals": np.empty((0, 3), dtype=np.float32),
        "taught": np.zeros(queries["near_known"].shape[1], dtype=bool),
    }
    return Batch(
        **{name: torch.from_numpy(values)[None] for name, values in (nothing | queries).items()}
    )
