"""Structures in ``summary.json``: volumes, areas, topology and uncertainty of a reconstruction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.connected import number_pieces
from vecsetx.reconstruction.decimation import DecimationError
from vecsetx.reconstruction.specks import Specks
from vecsetx.reconstruction.surfaces import Surface

__all__ = [
    "change_text",
    "of_decimation",
    "of_label_map",
    "of_specks",
    "of_surface",
    "sd_summary",
    "table_ml",
]


def of_surface(surface: Surface | None) -> dict[str, Any]:
    """Summarize one structure's surface as plain data.

    Returns:
        ``volume_ml``, ``area_mm2``, ``faces``, ``watertight`` (two faces at every edge) and
        ``euler`` (2 per closed piece minus 2 per handle; None unless watertight). Zeros and None
        without a surface.
    """
    if surface is None:
        return {"volume_ml": 0.0, "area_mm2": 0.0, "faces": 0, "watertight": None, "euler": None}
    watertight = surface.watertight
    return {
        "volume_ml": surface.volume_mm3 / 1000,
        "area_mm2": surface.area_mm2,
        "faces": len(surface.faces),
        "watertight": watertight,
        # V − E + F, where a closed triangle mesh has E = 3F/2.
        "euler": len(surface.vertices_mm) - len(surface.faces) // 2 if watertight else None,
    }


def of_specks(specks: Specks, name: str) -> dict[str, Any]:
    """Summarize the pieces of one structure's mesh as plain data.

    Returns:
        ``pieces``, without the specks; ``specks``: number and ``ml`` of those removed, None if
        there were none.
    """
    number = specks.removed.get(name)
    removed = None if number is None else {"number": number, "ml": specks.removed_ml[name]}
    return {"pieces": specks.pieces[name], "specks": removed}


def of_label_map(
    label_map: LabelMap | None, structures: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Summarize the structures of a label map as plain data.

    Args:
        label_map: Labels 1…K in the order of ``structures``; None if none was made.
        structures: Names of the K structures.

    Returns:
        Structure name → its ``voxels``, their volume ``labels_ml``, and their number of
        (26-connected) ``labels_pieces``; None without a label map.
    """
    from scipy import ndimage

    if label_map is None:
        nothing = {"voxels": None, "labels_ml": None, "labels_pieces": None}
        return {name: dict(nothing) for name in structures}
    boxes = ndimage.find_objects(label_map.labels, max_label=len(structures))
    table: dict[str, dict[str, Any]] = {}
    for label, (name, box) in enumerate(zip(structures, boxes, strict=True), start=1):
        mask = label_map.labels[box] == label if box is not None else np.zeros((1, 1, 1), bool)
        voxels = int(mask.sum())
        table[name] = {
            "voxels": voxels,
            "labels_ml": voxels * label_map.voxel_volume_mm3 / 1000,
            "labels_pieces": number_pieces(mask)[1],
        }
    return table


def table_ml(found: Mapping[str, Any], compared: bool) -> float:
    """Return the volume of one structure that tables show, ml.

    Where a heart is compared with its input, it is that of voxels, as the input's is, so that both
    and their difference are of one measure; otherwise it is that inside the mesh.

    Args:
        found: The structure in ``summary.json``.
        compared: Whether any structure of the heart is compared with the input.
    """
    if not compared:
        return float(found["volume_ml"])
    return float(found["agreement"]["ml"] if found["agreement"] else found["labels_ml"])


def change_text(share: float) -> str:
    """Format a relative change with its sign: ``−0.4%`` as ``-0.4%``; none if it rounds to 0."""
    return f"{100 * share:+.1f}%" if abs(share) >= 0.0005 else "0.0%"


def sd_summary(
    sd_mm: Float32[np.ndarray, " v"],
    observed: Bool[np.ndarray, " v"],
    beyond_reach: Bool[np.ndarray, " v"],
) -> dict[str, Any]:
    """Summarize the uncertainty of one surface as plain data.

    Args:
        sd_mm: Standard deviation at each vertex, mm.
        observed: Whether each vertex is observed.
        beyond_reach: Whether a vertex's standard deviation is too small, because the members of the
            ensemble lie farther apart than the model's distances are reliable.

    Returns:
        ``inferred`` and ``all``: ``mean`` and ``p95``, mm, over these vertices, None if there are
        none; ``beyond_reach_share``: share of the inferred vertices, 0…1, None if there are none.
    """
    inferred = ~observed
    return {
        "inferred": _mean_and_p95(sd_mm[inferred]),
        "all": _mean_and_p95(sd_mm),
        "beyond_reach_share": float(beyond_reach[inferred].mean()) if inferred.any() else None,
    }


def of_decimation(errors: Mapping[str, DecimationError], name: str) -> dict[str, Any] | None:
    """Summarize the decimation error of one structure as plain data; None if not decimated."""
    error = errors.get(name)
    if error is None:
        return None
    return {"faces_before": error.faces_before, "mean_mm": error.mean_mm, "max_mm": error.max_mm}


def _mean_and_p95(sd_mm: Float32[np.ndarray, " v"]) -> dict[str, float] | None:
    if len(sd_mm) == 0:
        return None
    return {"mean": float(sd_mm.mean()), "p95": float(np.percentile(sd_mm, 95))}
