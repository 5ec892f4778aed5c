"""The page of one reconstructed heart: 3-D viewer, slices, table and how it was made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecsetx.evaluation.heart_remarks import heart_remarks
from vecsetx.reconstruction.summary import change_text, table_ml
from vecsetx.report.scene import (
    DISTANCE_STEP_MM,
    MAX_FACES,
    HeartView,
    pack_heart,
    structures_shown,
)
from vecsetx.report.template import write_page

__all__ = ["write_reconstruction_page"]

_FACTS = (
    "input",
    "model",
    "version",
    "latents",
    "points",
    "recycled",
    "keep_observed",
    "surfaces",
    "mesh_resolution_mm",
    "space",
    "turned_deg",
    "hidden",
    "seed",
)
"""Entries of ``provenance`` that the page shows."""


def write_reconstruction_page(path: Path, view: HeartView, summary: Mapping[str, Any]) -> None:
    """Write the page.

    Args:
        path: The file.
        view: The heart; its truth is the input, as far as that has surfaces.
        summary: As in ``summary.json``: ``structures`` and ``provenance``.
    """
    packed, structures = pack_heart(view), summary["structures"]
    agreement = {name: found["agreement"] for name, found in structures.items()}
    compared = any(agreement.values())
    provenance = summary["provenance"]
    facts = {key: _text(provenance[key]) for key in _FACTS}
    write_page(
        path,
        "reconstruction.html.jinja",
        title=view.name,
        views=bool(provenance.get("views")),
        structures=structures,
        compared=compared,
        ml={name: table_ml(found, compared) for name, found in structures.items()},
        changes={
            name: change_text(found["volume_difference"])
            for name, found in agreement.items()
            if found
        },
        remarks=heart_remarks(summary),
        provenance=facts,
        points=sum(len(points) for points in view.points.values()),
        shown=[packed],
        ranked={},
        chips=structures_shown([packed]),
        max_faces=MAX_FACES,
        left="input",
        data={
            "plots": {},
            "hearts": [
                {
                    "name": view.name,
                    "layout": packed.layout,
                    "dice": {n: found and found["dice"] for n, found in agreement.items()},
                }
            ],
            "distanceStep": DISTANCE_STEP_MM,
        },
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
