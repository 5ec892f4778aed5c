"""``vecsetx inspect``: what files hold, and how they would be read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.idle_options import check_idle
from vecsetx.data.sources import HeartSource, LabelMapSource
from vecsetx.errors import InputError
from vecsetx.formats.images import form_codes
from vecsetx.formats.label_maps import read_label_map
from vecsetx.formats.points import LabelledPoints
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.limits import VOXELS
from vecsetx.sampling.quality.findings import asks_for_a_look
from vecsetx.sampling.samples import Samples
from vecsetx.terminal.progress_bars import steps

__all__ = ["inspect"]


def inspect(
    inputs: Sequence[Path],
    label_set: LabelSet | None = None,
    space: str = "lps",
    units: str = "mm",
    trust_names: bool = False,
    most_voxels: int = VOXELS,
) -> list[dict[str, Any]]:
    """Report what each file or folder holds, as ``prepare`` and ``reconstruct`` would read it.

    Args:
        inputs: Hearts of any kind: files, or folders of them.
        label_set: What ids mean; None: what the files say.
        space: Axes of meshes and points whose files do not say.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        most_voxels: Most voxels of a label map.

    Returns:
        One entry per heart, in order, as plain data for JSON:

        - ``file``: its path; ``kind``: label map, masks, …; ``label_set``: its name.
        - ``status``: ``ok``; ``look``, if a remark asks for it, as ``check`` does later; or
          ``refused``.
        - ``axes``: directions of the array's axes, such as ``LPS``; ``spacing_mm``; ``shape``;
          ``form_codes``: sform and qform of NIfTI. None where a file has none.
        - ``extent_mm``: sides of the box around points; None of other kinds.
        - ``named``: id → name, as the file itself says; None if it says nothing.
        - ``structures``: name → ``id``, ``ml`` (inside its surface), ``points`` (their number),
          ``pieces``, ``cut`` (whether it reaches the edge of the scan). None where a file does not
          tell.
        - ``same_name``: whether another heart has its name; prepare refuses them together.
        - ``remarks``: sentences; of a refused file, the reason and the remedy.
    """
    sources: list[HeartSource | dict[str, Any]] = []
    for given in inputs:
        try:
            unsafe: dict[Path, str] = {}
            found = find_hearts(
                [given],
                label_set,
                space,
                units,
                trust_names=trust_names,
                unsafe=unsafe,
                most_voxels=most_voxels,
            )
            sources.extend(found.values())
            sources.extend(_refused(path, InputError(why)) for path, why in unsafe.items())
        except InputError as error:
            sources.append(_refused(given, error))
    hearts = [source for source in sources if not isinstance(source, dict)]
    check_idle(hearts, label_set is not None, space, units, trust_names)
    inspected = iter(_all_inspected(hearts))
    entries = [source if isinstance(source, dict) else next(inspected) for source in sources]
    _remark_repeated_names(hearts, entries)
    return entries


def _all_inspected(hearts: Sequence[HeartSource]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    if hearts:  # a wrong path is no heart to count
        with steps("inspecting hearts", len(hearts), "hearts") as progress:
            for heart in hearts:
                progress.begin(heart.name)
                entries.append(_inspected(heart))
                progress.advance(note=heart.name)
    return entries


def _remark_repeated_names(hearts: Sequence[HeartSource], entries: list[dict[str, Any]]) -> None:
    """Add a remark to hearts of one name, which no other command takes together."""
    places: dict[str, set[str]] = {}
    for heart in hearts:
        places.setdefault(heart.name, set()).add(str(heart.path))
    for name, paths in places.items():
        for entry in entries:
            if len(paths) > 1 and entry["file"] in paths and entry["status"] != "refused":
                others = ", ".join(sorted(paths - {entry["file"]}))
                entry["remarks"].append(f"{others} has the name {name}, too; rename one of them")
                entry["status"], entry["same_name"] = "look", True


def _inspected(source: HeartSource) -> dict[str, Any]:
    try:
        source = source.resolved()
        if isinstance(source, LabelMapSource) and source.stored is None:
            stored = read_label_map(source.path, most_voxels=source.most_voxels)
            source = replace(source, stored=stored)  # for the names in it
        found = source.read(source.label_set.structures)
        if isinstance(found, Segmentation):
            entry = _of_segmentation(found, source)
        elif isinstance(found, Samples):
            entry = _of_samples(found)
        else:
            entry = _of_points(found, source)
    except InputError as error:
        return _refused(source.path, error, source.kind)
    entry = _empty(source.path, source.kind) | entry
    entry["label_set"] = source.label_set.name
    entry["status"] = "look" if any(map(asks_for_a_look, entry["remarks"])) else "ok"
    return entry


def _of_segmentation(heart: Segmentation, source: HeartSource) -> dict[str, Any]:
    geometry = heart.geometry()
    columns = zip(
        heart.structures,
        geometry.present().tolist(),
        geometry.volumes_ml().tolist(),
        geometry.pieces().tolist(),
        geometry.cut.tolist(),
        strict=True,
    )
    is_map = isinstance(source, LabelMapSource)
    names = source.stored.names if isinstance(source, LabelMapSource) and source.stored else None
    entry: dict[str, Any] = {
        "named": {str(i): word for i, word in names.names.items()} if names else None,
        "form_codes": form_codes(source.path) if is_map else None,
        "structures": {
            name: {
                "id": source.label_set.id_of(name) if is_map else None,
                "ml": round(ml, 3),
                "points": None,
                "pieces": pieces,
                "cut": cut,
            }
            for name, present, ml, pieces, cut in columns
            if present
        },
        "remarks": list(geometry.label_map.remarks),
    }
    if heart.closed is None:  # the grid of meshes is ours, not the file's
        entry["axes"] = "".join(nib.aff2axcodes(heart.label_map.affine))
        entry["spacing_mm"] = [round(mm, 4) for mm in heart.label_map.spacing_mm.tolist()]
        entry["shape"] = list(heart.label_map.shape)
    return entry


def _of_samples(samples: Samples) -> dict[str, Any]:
    info = samples.info
    return {
        "structures": {
            name: {
                "id": None,
                "ml": round(info.volumes_ml[name], 3),
                "points": None,
                "pieces": info.pieces.get(name),
                "cut": name in info.cut,
            }
            for name in info.structures
        },
        "remarks": list(info.remarks),
    }


def _of_points(points: LabelledPoints, source: HeartSource) -> dict[str, Any]:
    counts = np.bincount(points.structure, minlength=len(source.label_set.structures)).tolist()
    unknown = {"id": None, "ml": None, "pieces": None, "cut": None}
    return {
        "extent_mm": np.ptp(points.points_mm, axis=0).round(1).tolist(),
        "structures": {
            name: {**unknown, "points": count}
            for name, count in zip(source.label_set.structures, counts, strict=True)
            if count
        },
    }


def _empty(path: Path, kind: str | None) -> dict[str, Any]:
    return {
        "file": str(path).encode(errors="backslashreplace").decode(),
        "kind": kind,
        "status": "ok",
        "label_set": None,
        "axes": None,
        "spacing_mm": None,
        "shape": None,
        "form_codes": None,
        "extent_mm": None,
        "named": None,
        "structures": {},
        "same_name": False,
        "remarks": [],
    }


def _refused(path: Path, error: InputError, kind: str | None = None) -> dict[str, Any]:
    return _empty(path, kind) | {"status": "refused", "remarks": [str(error)]}
