"""The check pages: an overview of a data set, and details of one heart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from vecsetx.report.check_figures import (
    boxes_by_structure,
    distance_histograms,
    inside_shares,
)
from vecsetx.report.figures import Row, is_number
from vecsetx.report.point_cloud import chips_of, pack_cloud, points_by_structure
from vecsetx.report.template import write_page
from vecsetx.sampling.quality.cohort import MAX_Z, MIN_HEARTS
from vecsetx.sampling.quality.findings import THICKNESS_MM
from vecsetx.sampling.samples import Samples

_QUANTITIES: Mapping[str, tuple[str, int]] = {
    "Volume (ml)": ("volume_ml", 1),
    "Volume (robust z)": ("volume_z", 1),
    "Pieces": ("pieces", 0),
    "Thickness 2V/A (mm)": ("thickness_mm", 1),
    "Distance slope": ("slope", 3),
    "Label agreement": ("agreement", 3),
    "Share of near points inside, at the wall": ("inside_share_near", 3),
    "Surface points": ("surface", 0),
    "Near points inside": ("near", 0),
    "Volume points inside": ("volume", 0),
}
"""Title → key in ``check.json``, and decimal places."""


@dataclass(frozen=True, slots=True)
class HeartPage:
    """Content of the page of one heart.

    Attributes:
        heart: The heart as in ``check.json``.
        samples: Its samples.
        picture: Slices of the heart with its points, as a data URI.
    """

    heart: Mapping[str, Any]
    samples: Samples
    picture: str


def write_check_page(path: Path, check: Mapping[str, Any], pictures: Mapping[str, str]) -> None:
    """Write the quality page of a prepared data set.

    Args:
        path: The page.
        check: As in ``check.json``. The page lists the hearts in this order.
        pictures: Heart's name → picture as a data URI, in the order of the page.

    Raises:
        InputError: A structure is unknown.
    """
    hearts, structures = check["hearts"], list(check["structures"])
    rows = {heart["name"]: heart for heart in hearts}
    write_page(
        path,
        "check.html.jinja",
        title="Data check",
        state=check["state"],
        summary=check["summary"],
        left_out=check["left_out"],
        hearts=hearts,
        outliers=check["summary"]["outliers"],
        largest_z={heart["name"]: _largest_z(heart) for heart in hearts},
        not_done=sorted({reason.split(":")[0] for heart in hearts for reason in heart["not_done"]}),
        structures={name: _range_of(name, hearts) for name in structures},
        min_hearts=MIN_HEARTS,
        quantities=list(_QUANTITIES),
        pictures=[(rows[name], picture) for name, picture in pictures.items()],
        data={
            "plots": {
                "volumes": boxes_by_structure(structures, hearts, "volume", "volume (ml)", "ml"),
                "thicknesses": boxes_by_structure(
                    structures, hearts, "thickness", "thickness 2V/A (mm)", "mm"
                ),
                "shares": inside_shares(hearts),
            },
            "structures": structures,
            "hearts": [heart["name"] for heart in hearts],
            "states": [
                [heart["structures"].get(name, {}).get("state") for name in structures]
                for heart in hearts
            ],
            "quantities": [
                {
                    "places": places,
                    "rows": [[_value(heart, name, key) for name in structures] for heart in hearts],
                }
                for key, places in _QUANTITIES.values()
            ],
        },
    )


def write_heart_page(path: Path, page: HeartPage) -> None:
    """Write the page of one heart: structures, slices, points in 3-D and distance histograms."""
    samples = page.samples
    surface, info = samples.surface, samples.info
    points = points_by_structure(surface.points_mm, surface.structure, info.structures)
    layout, blob = pack_cloud(points)
    histograms = distance_histograms(samples)
    write_page(
        path,
        "heart_check.html.jinja",
        title=page.heart["name"],
        heart=page.heart,
        beyond_z=MAX_Z,
        info=info,
        spacing=" × ".join(dict.fromkeys(f"{mm:.3g}" for mm in info.spacing_mm)),
        counts={
            "surface": len(surface.points_mm),
            "near": len(samples.near.points_mm),
            "volume": len(samples.volume.points_mm),
        },
        walls=list(THICKNESS_MM),
        picture=page.picture,
        histograms=list(histograms),
        chips=chips_of(list(points)),
        blob=blob,
        data={
            "plots": {
                f"distances-{number}": histogram
                for number, histogram in enumerate(histograms.values())
            },
            "scene": layout,
        },
    )


def _value(heart: Row, name: str, key: str) -> int | float | None:
    structure = heart["structures"].get(name, {})
    value = (structure.get("points") or {}).get(key, structure.get(key))
    return round(value, 4) if is_number(value) else None


def _largest_z(heart: Row) -> float | None:
    scores = [found["volume_z"] for found in heart["structures"].values()]
    return max((score for score in scores if is_number(score)), key=abs, default=None)


def _range_of(name: str, hearts: Sequence[Row]) -> dict[str, Any]:
    """Minimum, median, maximum and number of each measure of a structure; None without values."""
    found: dict[str, Any] = {}
    for key in ("volume_ml", "thickness_mm", "slope", "agreement"):
        values = [value for heart in hearts if (value := _value(heart, name, key)) is not None]
        found[key] = (min(values), median(values), max(values), len(values)) if values else None
    return found
