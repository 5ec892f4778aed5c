"""Samples from NPZ files of VecSetX's cardiac predecessor; missing quantities are estimated."""

import hashlib

import numpy as np

from vecsetx import __version__
from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_sets import LabelSet, label_sets_of_ids
from vecsetx.anatomy.sign import inside
from vecsetx.errors import InputError
from vecsetx.sampling.npz.arrays import NpzArrays
from vecsetx.sampling.npz.discs import NEIGHBOURS, Discs, fit_discs
from vecsetx.sampling.npz.estimate import (
    UnionPoints,
    estimated_distances,
    estimation_error,
    rough_distances,
)
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints

KEYS = (
    "surface_points",
    "surface_labels",
    "near_points",
    "near_sdf",
    "near_labels",
    "vol_points",
    "vol_sdf",
    "vol_labels",
)
"""Arrays that such a file must hold."""

_LARGEST_CONTRADICTION = 0.01
"""Largest share of near or volume points whose label and distance may disagree on inside and
outside. If the two come from different coordinate systems, they disagree at half of the points."""

_LEAST_AGREEMENT = 0.6
"""Smallest median over structures of :attr:`Discs.agreement` with which a file is accepted. It is
0.97 in sound hearts, 0.9 with a tenth of the usual points, and 0.3 to 0.5 if points are shifted by
5 mm or labels are guessed from the distances to the structures' centres."""

_LARGEST_ERROR = 4.0
"""Largest accepted error of the distances to discs, in disc radii."""


def predecessor_samples(
    arrays: NpzArrays, origin: Origin, seed: int, mm_per_unit: float
) -> Samples:
    """Read a file that holds only labels and the distance to the nearest structure.

    Distances to every structure, normals, areas and volumes are estimated from the surface
    points (:mod:`vecsetx.sampling.npz.discs`). Pieces are not counted (their number is 0), no
    edge of the scan is known, and axes are assumed to be RAS+. The samples' remarks report this.

    Args:
        arrays: The file.
        origin: The heart's name, and the structures that ids stand for.
        seed: With the name, seed of the order of the points.
        mm_per_unit: Assumed length of the file's unit.

    Returns:
        Samples of all structures in the file, also of those that the label set leaves out.

    Raises:
        InputError: An array is missing or holds impossible values, the label set does not know an
            id, or labels, distances and surface points contradict each other.
    """
    # 1. Read the points, and shuffle each set, because samples must be in random order.
    generator = np.random.default_rng([seed, *origin.name.encode()])
    frame = Frame((0.0, 0.0, 0.0), mm_per_unit)
    points = arrays.points("surface_points")
    ids = arrays.ids("surface_labels", len(points))
    order = generator.permutation(len(points))
    points_mm, ids = frame.to_mm(points[order]), ids[order]
    names = _structures(ids, origin)
    structure = _labels(ids, names, "surface_labels", origin) - 1
    near = _union_points(arrays, "near", names, origin, frame, generator)
    volume = _union_points(arrays, "vol", names, origin, frame, generator)
    # 2. Estimate the surfaces, and with them the distances to every structure.
    discs = fit_discs(
        [points_mm[structure == k] for k in range(len(names))],
        np.concatenate([near.points, volume.points]),
        np.concatenate([near.label, volume.label]),
    )
    error_mm = _checked_error(discs, near, origin)
    info = _info(
        origin,
        names,
        discs,
        content=hashlib.sha256(points.tobytes()).hexdigest(),
        frame=Frame.around(points_mm, mm_per_unit),
        remarks=_remarks(len(points), error_mm, mm_per_unit),
        seed=seed,
    )
    return Samples(
        _surface_points(discs, points_mm, structure),
        _query_points(discs, near),
        _query_points(discs, volume),
        info,
    )


def _info(
    origin: Origin,
    names: tuple[str, ...],
    discs: list[Discs],
    content: str,
    frame: Frame,
    remarks: tuple[str, ...],
    seed: int,
) -> HeartInfo:
    """Return the metadata; there is no label map, so that the spacing of the points stands in."""
    return HeartInfo(
        name=origin.name,
        kind=origin.kind,
        source=str(origin.path.resolve()),
        sha256=origin.sha256,
        content=content,
        label_set=origin.label_set.to_dict(),
        structures=names,
        cut=(),
        frame=frame,
        reach_mm=np.inf,
        spacing_mm=(2 * float(np.median([surface.radius() for surface in discs])),) * 3,
        volumes_ml=dict(zip(names, (s.volume() / 1000 for s in discs), strict=True)),
        areas_mm2=dict(zip(names, (s.area() for s in discs), strict=True)),
        pieces=dict.fromkeys(names, 0),
        speck_voxels=0,
        remarks=remarks,
        options={},
        seed=seed,
        version=__version__,
    )


def _remarks(count: int, error_mm: float, mm_per_unit: float) -> tuple[str, ...]:
    return (
        f"distances are estimated from {count} surface points, good to about {error_mm:.1f} mm: "
        "the file has only those to the nearest structure",
        "normals, areas and volumes are estimated from the surface points, too; pieces are not "
        "counted",
        f"millimetres are nominal, {mm_per_unit:g} to the unit: the file does not say how large "
        "the heart is, which way its axes go (it may lie mirrored) or where the scan ends",
    )


def _structures(ids: np.ndarray, origin: Origin) -> tuple[str, ...]:
    """Names of the structures with surface points; "id 7" for an id that the label set drops."""
    found, counts = np.unique(ids, return_counts=True)
    if found[0] == 0:
        raise InputError(
            f"{origin.path}: {counts[0]} of surface_labels are 0; give each surface point its "
            "structure"
        )
    _check_known(found, "surface_labels", origin)
    by_name: dict[str, int] = {}
    for label_id, count in zip(found.tolist(), counts.tolist(), strict=True):
        name = _name(label_id, origin.label_set)
        by_name[name] = by_name.get(name, 0) + count
    for name, count in by_name.items():
        if count <= NEIGHBOURS:
            raise InputError(
                f"{origin.path}: only {count} surface points of {name}, at least {NEIGHBOURS + 1} "
                "are needed to estimate distances; prepare more"
            )
    return tuple(by_name)


def _labels(ids: np.ndarray, names: tuple[str, ...], array: str, origin: Origin) -> np.ndarray:
    """0 for background, k + 1 for structure k."""
    found, place = np.unique(ids, return_inverse=True)
    _check_known(found, array, origin)
    labels = []
    for label_id in found.tolist():
        name = _name(label_id, origin.label_set)
        if label_id and name not in names:
            raise InputError(
                f"{origin.path}: {array} holds {label_id} ({name}), which has no surface points; "
                "prepare this heart again"
            )
        labels.append(names.index(name) + 1 if label_id else 0)
    return np.array(labels)[place]


def _check_known(ids: np.ndarray, array: str, origin: Origin) -> None:
    if unknown := origin.label_set.unknown(ids.tolist()):
        fitting = " or ".join(label_sets_of_ids(ids.tolist())) or "FILE.yaml"
        raise InputError(
            f"{origin.path}: {array} holds {unknown}, which label set {origin.label_set.name} does "
            f"not know (it has {sorted(origin.label_set.ids)}); choose another with --labels, "
            f"such as {fitting}"
        )


def _name(label_id: int, label_set: LabelSet) -> str:
    return label_set.ids.get(label_id, f"id {label_id}")


def _union_points(
    arrays: NpzArrays,
    key: str,
    names: tuple[str, ...],
    origin: Origin,
    frame: Frame,
    generator: np.random.Generator,
) -> UnionPoints:
    points = arrays.points(f"{key}_points")
    distance = arrays.distances(f"{key}_sdf", len(points))
    ids = arrays.ids(f"{key}_labels", len(points))
    labels = _labels(ids, names, f"{key}_labels", origin)
    _check_signs(labels, distance, key, origin)
    order = generator.permutation(len(points))
    return UnionPoints(
        frame.to_mm(points[order]), labels[order], frame.length_to_mm(distance[order])
    )


def _check_signs(labels: np.ndarray, distance: np.ndarray, key: str, origin: Origin) -> None:
    contradiction = (inside(distance) != (labels > 0)).mean()
    if contradiction <= _LARGEST_CONTRADICTION:
        return
    # If the flipped distances fit, only the sign convention differs.
    if (inside(-distance) != (labels > 0)).mean() <= _LARGEST_CONTRADICTION:
        raise InputError(
            f"{origin.path}: {key}_sdf is positive inside, but distances must be negative inside; "
            "flip the sign of near_sdf and vol_sdf"
        )
    raise InputError(
        f"{origin.path}: {key}_labels and {key}_sdf contradict each other at {contradiction:.1%} "
        "of the points (inside by one, outside by the other): they come from different coordinate "
        "systems; prepare this heart from its label map"
    )


def _checked_error(discs: list[Discs], near: UnionPoints, origin: Origin) -> float:
    """The error of estimated distances, mm.

    Raises:
        InputError: Labels or distances do not fit the surface points.
    """
    agreement = float(np.median([surface.agreement for surface in discs]))
    if agreement < _LEAST_AGREEMENT:
        raise InputError(
            f"{origin.path}: the labels of near and volume points do not match the surface points "
            f"(agreement {agreement:.2f}, in sound hearts above 0.9): they come from different "
            "coordinate systems, or labels were guessed; prepare this heart from its label map"
        )
    found_mm, radius_mm = estimation_error(discs, near), max(s.radius() for s in discs)
    if found_mm > _LARGEST_ERROR * radius_mm:
        raise InputError(
            f"{origin.path}: near_sdf does not fit the surface points: it is off by "
            f"{found_mm / radius_mm:.0f} times the distance between them, so scales or coordinate "
            "systems differ; prepare this heart from its label map"
        )
    # Distances to inner walls and of far points cannot be compared. Their error is unknown; the
    # spacing of the surface points serves as a lower limit.
    return max(found_mm, radius_mm)


def _surface_points(
    discs: list[Discs], points_mm: np.ndarray, structure: np.ndarray
) -> SurfacePoints:
    distances_mm = rough_distances(discs, points_mm)
    # A point lies on its own structure's surface, and discs are made from each structure's points.
    distances_mm[np.arange(len(points_mm)), structure] = 0.0
    normals = np.empty_like(points_mm)
    for k, surface in enumerate(discs):
        normals[structure == k] = surface.normals
    edge_mm = _no_edge(len(points_mm))
    return SurfacePoints(points_mm, structure.astype(np.uint8), normals, distances_mm, edge_mm)


def _query_points(discs: list[Discs], known: UnionPoints) -> QueryPoints:
    distances_mm = estimated_distances(discs, known)
    return QueryPoints(known.points, distances_mm, _no_edge(len(distances_mm)))


def _no_edge(count: int) -> np.ndarray:
    return np.full(count, np.inf, dtype=np.float32)
