"""Sampling a heart: points, their distances to every structure, and facts about the heart."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecsetx import __version__
from vecsetx.anatomy.frame import MM_PER_UNIT, UPRIGHT, Frame, Rotation
from vecsetx.errors import InputError
from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.geometry.pieces import gaps
from vecsetx.geometry.view import edge_distances_mm
from vecsetx.progress import staged
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.point_sampling import surface_points, volume_points
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints


@dataclass(frozen=True, slots=True)
class SamplingSpec:
    """How a heart is sampled.

    Attributes:
        surface_points, near_points, volume_points: Points per heart in each set.
        equal_share: Share of the points that is divided equally among the structures; the rest is
            divided in proportion to area (surface, near) or volume (volume). Without it small
            structures would get hardly any points.
        near_mm, farther_mm: The two standard deviations of near points from the surface; each
            applies to about half of the points.
        background_share: Share of the volume points that is drawn anywhere: half of them from a box
            around the heart, half from the frame's whole domain.
        margin_mm: Margin of that box around the heart.
        reach_mm: Distances are truncated at this value. The default is twice the distance at which
            the loss truncates; infinity keeps all distances, at nearly twice the time.
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
    reach_mm: float = 16.0
    mm_per_unit: float = MM_PER_UNIT


def sample_heart(
    geometry: Geometry,
    origin: Origin,
    wanted: tuple[str, ...],
    spec: SamplingSpec,
    seed: int,
    shown: Geometry | None = None,
) -> Samples:
    """Sample a heart.

    Args:
        geometry: The heart.
        origin: The heart's files. Its name and ``seed`` decide the random draws.
        wanted: The K structures of ``geometry``. Absent ones are left out of the samples.
        spec: How many points to draw, and where.
        seed: Seed of the data set.
        shown: The same heart as a poorer segmentation shows it: surface points are drawn from that,
            and all distances are those of the heart. None: it is shown as it is.

    Raises:
        InputError: The scan shows no surface except at its edge.
    """
    structures = tuple(np.array(wanted)[geometry.present()].tolist())
    if len(structures) < len(wanted):
        shown = shown and shown.restricted(geometry.present())
        geometry = geometry.restricted(geometry.present())
    # A heart's points depend on its own name, so they are the same in any data set and order.
    generator = np.random.default_rng([seed, *origin.name.encode()])
    frame = Frame.around((shown or geometry).vertices_mm(), spec.mm_per_unit)
    try:
        drawn = draw_samples(geometry, frame, spec, generator, shown)
    except InputError as error:
        raise InputError(f"{origin.path}: {error}") from None
    volumes, areas = geometry.volumes_ml().tolist(), geometry.areas_mm2().tolist()
    info = HeartInfo(
        name=origin.name,
        kind=origin.kind,
        source=str(origin.path.resolve()),
        sha256=origin.sha256,
        content=geometry.content(),
        label_set=origin.label_set.to_dict(),
        structures=structures,
        cut=tuple(name for name, cut in zip(structures, geometry.cut, strict=True) if cut),
        frame=frame,
        reach_mm=spec.reach_mm,
        spacing_mm=tuple(geometry.label_map.spacing_mm.tolist()),
        volumes_ml=dict(zip(structures, volumes, strict=True)),
        areas_mm2=dict(zip(structures, areas, strict=True)),
        pieces=dict(zip(structures, geometry.pieces().tolist(), strict=True)),
        speck_voxels=geometry.speck_voxels,
        remarks=(
            *geometry.label_map.remarks,
            *(str(gap) for gap in gaps(geometry.label_map, structures)),
        ),
        options=options_of(spec, wanted),
        seed=seed,
        version=__version__,
    )
    return Samples(*drawn, info)


def options_of(spec: SamplingSpec, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Return all options that decide a heart's samples, besides source and seed, as plain data."""
    return {**asdict(spec), "wanted": list(wanted)}


def observe(
    geometry: Geometry, count: int, mm_per_unit: float, seed: int, rotation: Rotation = UPRIGHT
) -> Observation:
    """Draw labelled surface points from a heart, divided among structures as in its samples.

    Args:
        geometry: The heart.
        count: Number of points.
        mm_per_unit: Scale of the frame.
        seed: Seed of the points.
        rotation: Rotation of the frame.

    Raises:
        InputError: The scan shows no surface except at its edge.
    """
    points, structure, normals = surface_points(
        geometry, count, SamplingSpec().equal_share, np.random.default_rng(seed)
    )
    frame = Frame.around(geometry.vertices_mm(), mm_per_unit, rotation)
    return Observation(
        points.astype(np.float32), structure.astype(np.int64), normals.astype(np.float32), frame
    )


@staged("points and distances")
def draw_samples(
    geometry: Geometry,
    frame: Frame,
    spec: SamplingSpec,
    generator: np.random.Generator,
    shown: Geometry | None = None,
) -> tuple[SurfacePoints, QueryPoints, QueryPoints]:
    """Draw surface, near and volume points with their distances, each set in random order.

    Args:
        geometry: The heart.
        frame: Its frame, whose domain is sampled.
        spec: How many points to draw, and where.
        generator: Random numbers.
        shown: The heart from whose surfaces the surface points are drawn; None: ``geometry``.

    Raises:
        InputError: The scan shows no surface except at its edge.
    """
    # The order of the draws decides the points of a seed: surface and near, scales, moves, volume.
    # 1. Draw the points. Near points are surface points moved at random, so one draw serves both.
    counts = (spec.surface_points, spec.near_points)
    points, structure, normals = surface_points(geometry, sum(counts), spec.equal_share, generator)
    on_surface, feet = np.split(points, [spec.surface_points])
    structure, normals = structure[: spec.surface_points], normals[: spec.surface_points]
    if shown is not None:
        on_surface, structure, normals = surface_points(
            shown, spec.surface_points, spec.equal_share, generator
        )
    scales_mm = generator.choice([spec.near_mm, spec.farther_mm], size=(len(feet), 1))
    near = feet + scales_mm * generator.standard_normal(feet.shape)
    volume = volume_points(
        geometry,
        frame,
        spec.volume_points,
        spec.background_share,
        spec.equal_share,
        spec.margin_mm,
        generator,
    )
    # 2. Compute the distances of all sets at once, of points rounded to float32 as they are stored.
    all_points = np.concatenate([on_surface, near, volume]).astype(np.float32)
    drawn_from = np.full(len(all_points), -1)
    if shown is None:
        drawn_from[: spec.surface_points] = structure  # exactly 0 from there, despite the rounding
    all_distances = signed_distances_mm(
        all_points,
        geometry.closed,
        geometry.label_map,
        spec.reach_mm,
        band_mm=np.inf if geometry.complete else None,  # vertices of given meshes may lie far apart
        drawn_from=drawn_from,
    )
    # 3. Distances to the edge of the scan; closed meshes have none.
    all_edges = (
        np.full(len(all_points), np.inf, dtype=np.float32)
        if geometry.complete
        else edge_distances_mm(all_points, geometry.label_map)
    )
    # 4. Split everything back into the three sets.
    ends = np.cumsum(counts)
    surface_mm, near_mm, volume_mm = np.split(all_points, ends)
    of_surface, of_near, of_volume = np.split(all_distances, ends)
    edge_surface, edge_near, edge_volume = np.split(all_edges, ends)
    return (
        SurfacePoints(
            surface_mm,
            structure.astype(np.uint8),
            normals.astype(np.float32),
            of_surface,
            edge_surface,
        ),
        QueryPoints(near_mm, of_near, edge_near),
        QueryPoints(volume_mm, of_volume, edge_volume),
    )
