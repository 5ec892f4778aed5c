"""examples/short_axis.py, from a label map to contours, meshes and the picture."""

import csv
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from support.hearts import write_small_phantoms

from vecsetx.anatomy.label_sets import label_set
from vecsetx.formats.label_maps import read_label_map

EXAMPLE = Path(__file__).parents[2] / "examples" / "short_axis.py"
SLICES = 4


def test_the_example_completes_a_heart_from_contours_on_its_slices(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,), out = write_small_phantoms(tmp_path / "labels", 1), tmp_path / "out"
    words = [trained_run, path, "--out", out, "--slices", SLICES, "--resolution", 32]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, words)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert (out / "short_axis.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "LV.vtp").is_file()
    with (out / "contours.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert {row["structure"] for row in rows} == {"Myocardium", "LV", "RV"}
    heart = read_label_map(path)
    label = label_set("default").id_of("LV")
    points_mm = np.array([[row[k] for k in "xyz"] for row in rows if row["structure"] == "LV"])
    points_mm = points_mm.astype(float)
    # The contours of the LV lie on its border: some neighbours are inside, and some are not.
    step_mm = 1.5 * np.cbrt(heart.voxel_volume_mm3)
    around = points_mm[:, None] + step_mm * np.concatenate([np.eye(3), -np.eye(3)])
    inside = heart.at(around.reshape(-1, 3)).reshape(-1, 6) == label
    assert (inside.any(axis=1) & ~inside.all(axis=1)).mean() > 0.95
    # All lie on as many planes across its long axis as were asked for.
    whole_mm = heart.to_mm(np.argwhere(heart.labels == label).astype(float))
    axis = np.linalg.svd(whole_mm - whole_mm.mean(axis=0), full_matrices=False)[2][0]
    assert len(np.unique((points_mm @ axis).round(1))) == SLICES
