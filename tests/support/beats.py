"""A heart of balls that beats, and a model that sees its radii."""

from pathlib import Path

import numpy as np
import pytest

from support.runs import untrained
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.formats.series import write_series
from vecsetx.model.heart_field import HeartField

NAMES = ("Myocardium", "LV", "RV")
IDS = label_set("default")
LV_MM, RV_MM = (24.0, 20.0, 17.0, 21.0), (22.0, 20.0, 16.0, 21.0)
"""Radii in each frame."""

WALL_MM3 = 34.0**3 - 24.0**3
"""The wall's volume, but for a factor."""

CENTERS = {"LV": np.zeros(3), "RV": np.array([58.0, 4.0, 0.0])}
STEP_MS = 90.0


def outer_mm(lv_mm: float) -> float:
    """The wall's outer radius, for equal muscle."""
    return float(np.cbrt(lv_mm**3 + WALL_MM3))


def ball_ml(radius_mm: float) -> float:
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def distances(points: np.ndarray, lv_mm: float, wall_mm: float, rv_mm: float) -> np.ndarray:
    """Signed distances to the three bodies, in the order of ``NAMES``."""
    left, right = (np.linalg.norm(points - CENTERS[name], axis=-1) for name in ("LV", "RV"))
    wall = np.maximum(left - wall_mm, lv_mm - left)
    return np.stack([wall, left - lv_mm, np.maximum(right - rv_mm, wall_mm - left)], axis=-1)


def label_map_at(
    lv_mm: float, rv_mm: float, moved_mm: float = 0.0, muscle: float = 1.0
) -> LabelMap:
    """The heart on a grid of 2.5 mm, with the default label set's ids."""
    spacing = 2.5
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -50.0, -50.0, -50.0
    indices = np.stack(np.meshgrid(np.arange(56), *2 * [np.arange(40)], indexing="ij"), axis=-1)
    points = indices * spacing + affine[:3, 3] - np.array([0.0, moved_mm, 0.0])
    wall_mm = float(np.cbrt(lv_mm**3 + muscle * WALL_MM3))
    found = distances(points, lv_mm, wall_mm, rv_mm)
    labels = np.where(found.min(axis=-1) < 0, found.argmin(axis=-1) + 1, 0).astype(np.uint8)
    return LabelMap(labels, affine).to_label_set(IDS, NAMES)


def beating() -> list[LabelMap]:
    return [label_map_at(lv_mm, rv_mm) for lv_mm, rv_mm in zip(LV_MM, RV_MM, strict=True)]


def without(one: LabelMap, *names: str) -> LabelMap:
    return one.without([IDS.id_of(name) for name in names])


def written_series(path: Path, frames: list[LabelMap], step_ms: float | None = STEP_MS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_series(frames, path, step_ms, NAMES, IDS)
    return path


def seeing_radii(patch: pytest.MonkeyPatch) -> None:
    """Make any model reconstruct the balls whose radii its anchors have."""

    def distances_mm(field: HeartField, points_mm: np.ndarray) -> np.ndarray:
        anchors = field.anchors
        assert anchors is not None

        def radius(name: str, center: str) -> float:
            own = anchors.points_mm[anchors.structure == NAMES.index(name)]
            if not len(own):
                return 18.0
            away = np.linalg.norm(own - CENTERS[center], axis=1)
            # Of the wall and the right ventricle, the nearer half lies on the other side.
            return float(np.median(away if name == "LV" else away[away > away.mean()]))

        radii = radius("LV", "LV"), radius("Myocardium", "LV"), radius("RV", "RV")
        found = distances(points_mm, *radii)
        return found.clip(-8, 8).astype(np.float32)

    patch.setattr(HeartField, "distances_mm", distances_mm)


def saved_model(folder: Path) -> Path:
    untrained(NAMES).save_pretrained(folder)
    return folder
