"""Drawing samples of a heart: which points, how many of each structure, in what order."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import cc3d
import numpy as np
from jaxtyping import Float, Int

from vecsetx import __version__
from vecsetx.anatomy.frame import MM_PER_UNIT, Frame
from vecsetx.anatomy.labelmap import LabelMap, read_label_map
from vecsetx.anatomy.structures import LabelSet
from vecsetx.sampling.distance import ClosedSurfaces, signed_distances_mm
from vecsetx.sampling.interfaces import shared_surface, without_specks
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints


@dataclass(frozen=True, slots=True)
class SamplingSpec:
    """How a heart is sampled.

    Attributes:
        surface_points, near_points, volume_points: Points per heart in each set.
        equal_share: Share of the points that is divided equally among the structures; the rest goes
            by area (surface, near) or volume (volume). It is what keeps small structures from
            starving.
        near_mm, farther_mm: Standard deviations of the near points' steps off the surface; half of
            the points take each.
        background_share: Share of the volume points that is drawn anywhere: half of them from a box
            around the heart, half from the frame's whole domain.
        margin_mm: How far that box goes beyond the heart.
        mm_per_unit: Scale of the frame.
    """

    surface_points: int = 50_000
    near_points: int = 50_000
    volume_points: int = 50_000
    equal_share: float = 0.6
    near_mm: float = 1.0
    farther_mm: float = 4.0
    background_share: float = 0.35
    margin_mm: float = 10.0
    mm_per_unit: float = MM_PER_UNIT


def sample_file(
    path: Path,
    name: str,
    label_set: LabelSet,
    structures: tuple[str, ...],
    spec: SamplingSpec,
    seed: int,
) -> Samples:
    """Samples of the label map in a file.

    Args:
        path: The label map.
        name: The heart's name; together with ``seed`` it decides the random draws.
        label_set: What the file's ids mean.
        structures: The K structures to sample, all of them annotated in this file.
        spec: How many points of what kind.
        seed: Seed of the data set.

    Raises:
        InputError: The file is no usable label map.
    """
    raw = read_label_map(path).named(label_set, structures, str(path))
    label_map = without_specks(raw)
    surface = shared_surface(label_map)
    closed = [surface.of(k) for k in range(1, len(structures) + 1)]
    generator = np.random.default_rng([seed, *name.encode()])
    frame = Frame.around(surface.vertices_mm, spec.mm_per_unit)
    drawn = draw_samples(label_map, closed, frame, spec, generator)
    info = HeartInfo(
        name=name,
        structures=structures,
        annotated=(True,) * len(structures),
        frame=frame,
        source=str(path.resolve()),
        sha256=file_hash(path),
        label_set=label_set.to_dict(),
        spacing_mm=tuple(label_map.spacing_mm.tolist()),
        volumes_ml=_volumes_ml(label_map, structures),
        components=_components(label_map, structures),
        cut=_cut(label_map, structures),
        speck_voxels=int(np.count_nonzero(raw.labels != label_map.labels)),
        options=asdict(spec),
        seed=seed,
        version=__version__,
    )
    return Samples(*drawn, info)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a model is shown of a heart: labelled surface points and their frame.

    Attributes:
        points_mm: ``[N, 3]`` float32, RAS+ mm, in random order.
        structure: ``[N]`` int64, index 0…K−1 of each point's structure.
        frame: The frame of what is observed.
    """

    points_mm: Float[np.ndarray, "n 3"]
    structure: Int[np.ndarray, " n"]
    frame: Frame


def observe(
    label_map: LabelMap, structure_count: int, count: int, mm_per_unit: float, seed: int
) -> Observation:
    """Draw labelled surface points from a label map, as preparing it would.

    Args:
        label_map: Labels 1…K.
        structure_count: K.
        count: Points.
        mm_per_unit: Scale of the frame.
        seed: Seed of the draw.
    """
    surface = shared_surface(without_specks(label_map))
    closed = [surface.of(k) for k in range(1, structure_count + 1)]
    points, structure, _ = _surface_points(
        closed, count, SamplingSpec().equal_share, np.random.default_rng(seed)
    )
    frame = Frame.around(surface.vertices_mm, mm_per_unit)
    return Observation(points.astype(np.float32), structure.astype(np.int64), frame)


def draw_samples(
    label_map: LabelMap,
    closed_surfaces: ClosedSurfaces,
    frame: Frame,
    spec: SamplingSpec,
    generator: np.random.Generator,
) -> tuple[SurfacePoints, QueryPoints, QueryPoints]:
    """Surface, near and volume points with their distances, each set in random order.

    Args:
        label_map: Labels 1…K without specks.
        closed_surfaces: The K structures' surfaces.
        frame: The heart's frame, whose domain is sampled.
        spec: How many points of what kind.
        generator: Source of the draws.
    """
    counts = (spec.surface_points, spec.near_points)
    points, structure, normals = _surface_points(
        closed_surfaces, sum(counts), spec.equal_share, generator
    )
    on_surface, feet = np.split(points, [spec.surface_points])
    structure, normals = structure[: spec.surface_points], normals[: spec.surface_points]
    scales_mm = generator.choice([spec.near_mm, spec.farther_mm], size=(len(feet), 1))
    near = feet + scales_mm * generator.standard_normal(feet.shape)
    volume = _volume_points(label_map, closed_surfaces, frame, spec, generator)

    all_points = np.concatenate([on_surface, near, volume]).astype(np.float32)
    all_distances = signed_distances_mm(all_points, closed_surfaces, label_map)
    ends = np.cumsum(counts)
    surface_mm, near_mm, volume_mm = np.split(all_points, ends)
    of_surface, of_near, of_volume = np.split(all_distances, ends)
    # The distance to the surface a point was drawn from is 0 by construction, not by rounding.
    of_surface[np.arange(len(structure)), structure] = 0.0
    return (
        SurfacePoints(
            surface_mm, structure.astype(np.uint8), normals.astype(np.float32), of_surface
        ),
        QueryPoints(near_mm, of_near),
        QueryPoints(volume_mm, of_volume),
    )


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def quotas(sizes: Float[np.ndarray, " k"], count: int, equal_share: float) -> Int[np.ndarray, " k"]:
    """Divide points among structures: a share equally, the rest in proportion to ``sizes``.

    Structures of size 0 (absent) get none. The quotas add up to ``count`` exactly.
    """
    present = sizes > 0
    share = equal_share * present / present.sum() + (1 - equal_share) * sizes / sizes.sum()
    ends = np.rint(np.cumsum(share) * count).astype(np.int64)
    return np.diff(ends, prepend=0)


def _surface_points(
    closed_surfaces: ClosedSurfaces,
    count: int,
    equal_share: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points ``[N, 3]`` mm, structure ``[N]``, unit outward normals ``[N, 3]``, shuffled."""
    corners = [vertices[faces] for vertices, faces in closed_surfaces]
    crosses = [np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]) for c in corners]
    areas = [np.linalg.norm(cross, axis=1) / 2 for cross in crosses]
    totals = np.array([area.sum() for area in areas])
    points, structure, normals = [], [], []
    for k, quota in enumerate(quotas(totals, count, equal_share)):
        if quota == 0:
            continue
        face = generator.choice(len(areas[k]), size=quota, p=areas[k] / totals[k])
        u, v = generator.random((2, quota, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        a, b, c = (corners[k][face, i] for i in range(3))
        points.append(a + u * (b - a) + v * (c - a))
        normals.append(crosses[k][face] / (2 * areas[k][face, None]))
        structure.append(np.full(quota, k))
    order = generator.permutation(count)
    shuffled = (np.concatenate(parts)[order] for parts in (points, structure, normals))
    return next(shuffled), next(shuffled), next(shuffled)


def _volume_points(
    label_map: LabelMap,
    closed_surfaces: ClosedSurfaces,
    frame: Frame,
    spec: SamplingSpec,
    generator: np.random.Generator,
) -> np.ndarray:
    """Points ``[N, 3]`` mm: some from anywhere, the others from the structures' own voxels."""
    vertices = np.concatenate([vertices for vertices, _ in closed_surfaces])
    low, high = vertices.min(axis=0) - spec.margin_mm, vertices.max(axis=0) + spec.margin_mm
    background = round(spec.background_share * spec.volume_points)
    points = [
        generator.uniform(low, high, size=(background // 2, 3)),
        generator.uniform(*frame.domain_mm(), size=(background - background // 2, 3)),
    ]
    flat = label_map.labels.ravel()
    voxels = [np.flatnonzero(flat == k + 1) for k in range(len(closed_surfaces))]
    sizes = np.array([float(len(indices)) for indices in voxels])
    wanted = quotas(sizes, spec.volume_points - background, spec.equal_share)
    for indices, quota in zip(voxels, wanted, strict=True):
        chosen = generator.choice(indices, size=quota) if quota else indices[:0]
        corner = np.stack(np.unravel_index(chosen, label_map.shape), axis=-1)
        points.append(label_map.to_mm(corner + generator.uniform(-0.5, 0.5, size=corner.shape)))
    return generator.permutation(np.concatenate(points))


def _volumes_ml(label_map: LabelMap, structures: tuple[str, ...]) -> dict[str, float]:
    return {
        name: np.count_nonzero(label_map.labels == k) * label_map.voxel_volume_mm3 / 1000
        for k, name in enumerate(structures, 1)
    }


def _components(label_map: LabelMap, structures: tuple[str, ...]) -> dict[str, int]:
    return {
        name: int(cc3d.connected_components(label_map.labels == k, connectivity=26).max())
        for k, name in enumerate(structures, 1)
    }


def _cut(label_map: LabelMap, structures: tuple[str, ...]) -> tuple[str, ...]:
    labels = label_map.labels
    edges = [labels.take(index, axis=axis) for axis in range(3) for index in (0, -1)]
    touching = np.unique(np.concatenate([edge.ravel() for edge in edges]))
    return tuple(name for k, name in enumerate(structures, 1) if k in touching)
