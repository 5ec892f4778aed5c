"""The layout of NPZ files with samples, that of VecSetX's cardiac predecessor.

==================  ============  ==============================================================
``surface_points``  ``[N, 3]``    points on the structures' surfaces
``surface_labels``  ``[N, C]``    their structures, one-hot: column c − 1 is id c
``near_points``     ``[N, 3]``    points near the surfaces
``near_sdf``        ``[N]``       distance to the nearest structure, negative inside
``near_labels``     ``[N]``       id of the structure that the point lies in, 0 outside all
``vol_…``                         the same for points anywhere
==================  ============  ==============================================================

All are float32, except the labels of near and volume points (int8). The unit of length is the
distance from the centre of the surface points' bounding box to the farthest of them.

Files written here hold more arrays, which readers of the old layout ignore: those of
:class:`~vecsetx.sampling.samples.Samples` (``near.distances_mm`` …), and ``vecsetx``, JSON with the
heart's metadata. From these, :func:`read_npz` restores the samples exactly. In files without them,
the missing quantities are estimated.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from vecsetx import __version__
from vecsetx.anatomy.frame import MM_PER_UNIT, Frame
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.sign import label_of
from vecsetx.errors import InputError
from vecsetx.files import written_whole
from vecsetx.plain_data import PlainDataError, parse_json
from vecsetx.sampling.npz.arrays import NpzArrays
from vecsetx.sampling.npz.predecessor import KEYS, predecessor_samples
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.sample_checks import check_samples
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints
from vecsetx.schemas import check_schema

__all__ = ["exported_info", "npz_ids", "read_npz", "write_npz"]

Points = TypeVar("Points", bound=SurfacePoints | QueryPoints)
Value = TypeVar("Value")

SCHEMA = 3
"""Version of the additions to the old layout; readers reject any other."""

_OWN = "vecsetx"
_LARGEST_ID = 127
"""Largest id that the labels' int8 can hold."""


def write_npz(samples: Samples, path: Path, label_set: LabelSet | None = None) -> None:
    """Write samples as an NPZ file, atomically.

    Args:
        samples: The heart.
        path: The file, ``.npz``.
        label_set: Its ids become the labels, or 1…K in its order if an id exceeds 127. None: the
            heart's own label set. Hearts for the same training must share one.

    Raises:
        InputError: The label set lacks a structure of the heart.
    """
    info = samples.info
    ids = npz_ids(label_set or LabelSet.from_dict(info.label_set, info.name))
    if missing := [name for name in info.structures if name not in ids]:
        raise InputError(
            f"{info.name}: {', '.join(missing)} has no id among {', '.join(ids)}; choose a label "
            "set with all structures"
        )
    # 1. The predecessor's arrays, in units of the ball around the surface points.
    id_of_index = np.array([ids[name] for name in info.structures])
    id_of_label = np.concatenate([[0], id_of_index])
    surface_mm = samples.surface.points_mm
    frame = _unit_ball(surface_mm)
    belongs = id_of_index[samples.surface.structure][:, None] == np.arange(1, max(ids.values()) + 1)
    arrays = {
        "surface_points": frame.to_unit(surface_mm).astype(np.float32),
        "surface_labels": belongs.astype(np.float32),
    }
    for key, points in (("near", samples.near), ("vol", samples.volume)):
        distances = points.distances_mm
        arrays[f"{key}_points"] = frame.to_unit(points.points_mm).astype(np.float32)
        arrays[f"{key}_sdf"] = frame.length_to_unit(distances.min(axis=1)).astype(np.float32)
        arrays[f"{key}_labels"] = id_of_label[label_of(distances)].astype(np.int8)
    # 2. The samples as they are, and what is needed to restore them.
    for group in ("surface", "near", "volume"):
        points = getattr(samples, group)
        arrays |= {f"{group}.{f.name}": getattr(points, f.name) for f in fields(points)}
    own = {"schema": SCHEMA, "ids": ids, "unit": frame.to_dict(), "heart": asdict(info)}
    arrays[_OWN] = np.array(json.dumps(own))
    with written_whole(path) as unfinished, open(unfinished, "wb") as stream:
        np.savez(stream, **arrays)


def npz_ids(label_set: LabelSet) -> dict[str, int]:
    """Return structure → id in NPZ files: the label set's, or 1…K if one of them exceeds 127."""
    ids = {name: label_set.id_of(name) for name in label_set.structures}
    if max(ids.values()) <= _LARGEST_ID:
        return ids
    return {name: number for number, name in enumerate(ids, start=1)}


def read_npz(
    origin: Origin, wanted: tuple[str, ...], seed: int, mm_per_unit: float = MM_PER_UNIT
) -> Samples:
    """Read samples from an NPZ file.

    Samples written by :func:`write_npz` come back bit for bit. For other files, the missing
    quantities are estimated (see :mod:`vecsetx.sampling.npz.predecessor`), and the samples' remarks
    state the error.

    Args:
        origin: The file, the heart's name, and the structures that ids stand for; the samples
            record it as their source.
        wanted: The structures to keep, if the heart has them.
        seed: Seed for shuffling the points of a file that does not have them in random order.
        mm_per_unit: Scale of the frame, and length of the unit of files that do not specify it.

    Raises:
        InputError: The file cannot be read, lacks an array, holds none of the structures or ids
            that the label set does not know, or its labels and distances contradict each other.
    """
    with NpzArrays(origin.path) as arrays:
        if _OWN in arrays:
            samples = _own_samples(arrays)
        else:
            arrays.need(*KEYS)
            samples = predecessor_samples(arrays, origin, seed, mm_per_unit)
    info = replace(
        samples.info,
        name=origin.name,
        kind=origin.kind,
        source=str(origin.path.resolve()),
        sha256=origin.sha256,
        label_set=origin.label_set.to_dict(),
        frame=replace(samples.info.frame, mm_per_unit=mm_per_unit),
        seed=seed,
        version=__version__,
    )
    return _restricted(replace(samples, info=info), wanted)


def exported_info(path: Path) -> HeartInfo | None:
    """Read the description of the heart in a file of :func:`write_npz`; None for another file.

    Raises:
        InputError: The file is damaged, or has another schema.
    """
    with NpzArrays(path) as arrays:
        return _own_info(arrays) if _OWN in arrays else None


def _own_info(arrays: NpzArrays) -> HeartInfo:
    try:
        own = parse_json(str(arrays.array(_OWN)))
        check_schema(arrays.path, own["schema"], SCHEMA, "export it again")
        return HeartInfo.from_dict(own["heart"])
    except (PlainDataError, KeyError, TypeError) as error:
        raise InputError(
            f"{arrays.path}: its array {_OWN} is damaged ({error!r}); export the heart again, or "
            "remove the array to have distances estimated"
        ) from error


def _own_samples(arrays: NpzArrays) -> Samples:
    info = _own_info(arrays)
    remark = f"exported by VecSetX {info.version} from {info.kind} {info.source}"
    info = replace(info, remarks=(*info.remarks, remark))
    count = len(info.structures)
    samples = Samples(
        _group(arrays, "surface", SurfacePoints, count),
        _group(arrays, "near", QueryPoints, count),
        _group(arrays, "volume", QueryPoints, count),
        info,
    )
    check_samples(samples, arrays.path)
    return samples


def _group(arrays: NpzArrays, group: str, kind: type[Points], structure_count: int) -> Points:
    found = {field.name: arrays.array(f"{group}.{field.name}") for field in fields(kind)}
    rows = len(np.atleast_1d(found["points_mm"]))
    columns: dict[str, tuple[int, ...]] = {
        "points_mm": (3,),
        "normals": (3,),
        "distances_mm": (structure_count,),
    }
    for name, array in found.items():
        if array.dtype.kind not in ("iu" if name == "structure" else "f"):
            raise InputError(
                f"{arrays.path}: {group}.{name} has type {array.dtype}; export it again"
            )
        expected = (rows, *columns.get(name, ()))
        if array.shape != expected:
            raise InputError(
                f"{arrays.path}: {group}.{name} has shape {array.shape}, not {expected}; export "
                "it again"
            )
    return kind(**found)


def _restricted(samples: Samples, wanted: tuple[str, ...]) -> Samples:
    """Return the heart with only the wanted structures, in the order of ``wanted``."""
    info = samples.info
    kept = tuple(name for name in wanted if name in info.structures)
    if kept == info.structures:
        return samples
    if not kept:
        raise InputError(
            f"{info.source}: holds none of {', '.join(wanted)}; choose from "
            f"{', '.join(info.structures)}"
        )
    columns = np.array([info.structures.index(name) for name in kept])
    # The new index of each old structure.
    index = np.full(len(info.structures), -1)
    index[columns] = np.arange(len(kept))
    surface = samples.surface
    rows = np.isin(surface.structure, columns)
    points_mm = surface.points_mm[rows]
    if len(points_mm) == 0:
        raise InputError(
            f"{info.source}: has no surface points of {', '.join(kept)}; leave this heart out"
        )
    # Fewer structures take less space, so that the frame moves to those that are left.
    less = len(kept) < len(info.structures)
    frame = Frame.around(points_mm, info.frame.mm_per_unit) if less else info.frame
    near, volume = (
        replace(points, distances_mm=points.distances_mm[:, columns])
        for points in (samples.near, samples.volume)
    )
    return Samples(
        SurfacePoints(
            points_mm,
            index[surface.structure[rows]].astype(surface.structure.dtype),
            surface.normals[rows],
            surface.distances_mm[rows][:, columns],
            surface.edge_mm[rows],
        ),
        near,
        volume,
        replace(
            info,
            structures=kept,
            cut=tuple(name for name in info.cut if name in kept),
            frame=frame,
            volumes_ml=_of(kept, info.volumes_ml),
            areas_mm2=_of(kept, info.areas_mm2),
            pieces=_of(kept, info.pieces),
        ),
    )


def _of(names: tuple[str, ...], values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name in names}


def _unit_ball(points_mm: np.ndarray) -> Frame:
    """Return the frame centred on the points' bounding box in which the farthest point is at 1."""
    mm = Frame.around(points_mm, mm_per_unit=1.0)
    radius_mm = float(np.linalg.norm(mm.to_unit(points_mm), axis=1).max())
    return replace(mm, mm_per_unit=radius_mm)
