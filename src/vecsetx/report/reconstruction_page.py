"""The page of one reconstructed heart: 3-D viewer, slices, table and how it was made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecsetx.evaluation.refinement_gain import refinement_of
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
    facts["refinement"] = refinement_of(provenance)
    write_page(
        path,
        "reconstruction.html.jinja",
        title=view.name,
        structures=structures,
        compared=compared,
        ml={name: table_ml(found, compared) for name, found in structures.items()},
        changes={
            name: change_text(found["volume_difference"])
            for name, found in agreement.items()
            if found
        },
        remarks=provenance["remarks"],
        provenance=facts,
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
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
