"""What was reconstructed, in figures."""

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
    """Write what was reconstructed as JSON.

    Per structure: ``volume_ml`` and ``area_mm2`` of its surface, its ``faces``, its ``euler``
    number (2 per closed piece less 2 per handle; null unless watertight), whether it is
    ``watertight`` (two faces at every edge), ``voxels`` and (26-connected) ``components`` in the
    label map, ``observed`` (the model was shown it) or inferred, ``observed_share`` (of its
    surface's vertices), the ``decimation`` error, and ``sd_mm``: how sure its place is. A
    structure without a surface has zeros and nulls.

    Args:
        path: The file, ``summary.json`` by custom.
        label_map: Labels 1…K in the order of ``structures``.
        surfaces: Structure name → surface.
        structures: Names of the K structures.
        provenance: Where this comes from, as plain data: the model, the input, the space.
        observed: Structures that the model was shown; None where nobody knows.
        decimation: Structure name → how far its surface moved, where it was decimated.
        observed_share: Structure name → share of its surface's vertices that are observed, 0…1.
        sd_mm: Structure name → what :func:`of_sd` found, where anything was drawn.
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


def of_sd(
    sd_mm: Float32[np.ndarray, " v"],
    observed: Bool[np.ndarray, " v"],
    beyond_reach: Bool[np.ndarray, " v"],
) -> dict[str, Any]:
    """How sure the place of one surface is, as plain data.

    Args:
        sd_mm: Standard deviation at each vertex.
        observed: Whether each is observed.
        beyond_reach: Whether its standard deviation is too small, since the draws lie farther apart
            than the model's distances reach.

    Returns:
        ``inferred`` and ``all``: ``mean`` and ``p95``, mm, over these vertices, None where there
        are none; ``beyond_reach_share``, 0…1, of the inferred vertices, likewise.
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
        "euler": len(surface.vertices_mm) - len(surface.faces) // 2 if watertight else None,
    }


def _of_error(error: DecimationError | None) -> dict[str, float | int] | None:
    if error is None:
        return None
    return {"faces_before": error.faces_before, "mean_mm": error.mean_mm, "max_mm": error.max_mm}
