"""``summary.json``: volumes, areas, topology and uncertainty of a reconstruction."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.files import write_json
from vecsetx.reconstruction.decimation import DecimationError
from vecsetx.reconstruction.surfaces import Surface


def write_summary(
    path: Path,
    label_map: LabelMap,
    surfaces: Mapping[str, Surface],
    structures: Sequence[str],
    provenance: dict[str, Any],
    observed: Collection[str] | None = None,
    decimation: Mapping[str, DecimationError] | None = None,
    observed_share: Mapping[str, float] | None = None,
    sd_mm: Mapping[str, dict[str, Any]] | None = None,
) -> None:
    """Write a summary of a reconstruction as JSON.

    Per structure: ``volume_ml`` and ``area_mm2`` of its surface, its number of ``faces``, its
    ``euler`` number (2 per closed piece minus 2 per handle; null unless watertight), whether it is
    ``watertight`` (two faces at every edge), its ``voxels`` and (26-connected) ``components`` in
    the label map, whether it was ``observed`` (or else inferred), ``observed_share`` of its
    surface's vertices, the ``decimation`` error, and ``sd_mm``, the surface's uncertainty. A
    structure without a surface has zeros and nulls.

    Args:
        path: The file, usually ``summary.json``.
        label_map: Labels 1…K in the order of ``structures``.
        surfaces: Structure name → surface.
        structures: Names of the K structures.
        provenance: Model, input and space of the reconstruction, as plain data.
        observed: Names of the structures in the model's input; None if unknown.
        decimation: Structure name → decimation error, for decimated surfaces.
        observed_share: Structure name → share of its surface's vertices that are observed, 0…1.
        sd_mm: Structure name → output of :func:`sd_summary`; None without an ensemble.
    """
    boxes = ndimage.find_objects(label_map.labels, max_label=len(structures))
    table: dict[str, dict[str, Any]] = {}
    for label, (name, box) in enumerate(zip(structures, boxes, strict=True), start=1):
        mask = label_map.labels[box] == label if box is not None else np.zeros((1, 1, 1), bool)
        table[name] = {
            **_of_surface(surfaces.get(name)),
            "voxels": int(mask.sum()),
            "components": int(cc3d.connected_components(mask, connectivity=26, return_N=True)[1]),
            "observed": None if observed is None else name in observed,
            "observed_share": (observed_share or {}).get(name),
            "decimation": _of_error((decimation or {}).get(name)),
            "sd_mm": (sd_mm or {}).get(name),
        }
    write_json(path, {"structures": table, "provenance": provenance})


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


def _mean_and_p95(sd_mm: Float32[np.ndarray, " v"]) -> dict[str, float] | None:
    if len(sd_mm) == 0:
        return None
    return {"mean": float(sd_mm.mean()), "p95": float(np.percentile(sd_mm, 95))}


def _of_surface(surface: Surface | None) -> dict[str, Any]:
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


def _of_error(error: DecimationError | None) -> dict[str, float | int] | None:
    if error is None:
        return None
    return {"faces_before": error.faces_before, "mean_mm": error.mean_mm, "max_mm": error.max_mm}
