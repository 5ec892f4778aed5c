"""The pictures of tutorials that need no 3-D graphics."""

import base64
import io
import sys
from pathlib import Path

import draw
import draw_flat
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from vecsetx.anatomy.structures import structure


def test_slices_show_structures_where_they_are(tmp_path: Path) -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:15, 5:15, 5:15] = 2  # LA
    labels[5:10, 5:15, 5:15] = 3  # LV, on the patient's left
    nib.save(nib.Nifti1Image(labels, np.diag([2.0, 2, 2, 1])), tmp_path / "heart.nii.gz")
    figure = draw_flat.labels([tmp_path / "heart.nii.gz"], ["a heart"])
    assert [axes.get_title() for axes in figure.axes] == ["", "a heart", ""]
    axial = np.asarray(draw_flat.pixels(figure))[:, :350]
    # Radiological convention: the patient's left is on the right.
    columns = [
        np.flatnonzero((np.abs(axial.astype(int) - structure(name).color) < 3).all(axis=2).any(0))
        for name in ("LV", "LA")
    ]
    assert columns[1].max() <= columns[0].min()


def test_curves_have_the_points_of_their_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time_ms,LV,RV\n0,1.5,2\n10,,3\n20,2.5,4\n")
    (tmp_path / "b.jsonl").write_text('{"time_ms": 1, "LV": 7}\n{"time_ms": 2}\n')
    paths = [tmp_path / "a.csv", tmp_path / "b.jsonl"]
    (axes,) = draw_flat.curves(paths, ["a", "b"], "time_ms", ["LV"], dots=False).axes
    drawn = [np.transpose(line.get_data()).tolist() for line in axes.lines]
    assert drawn == [[[0, 1.5], [20, 2.5]], [[1, 7]]]
    assert axes.get_xlabel() == "time, ms"


def test_a_picture_of_a_page_is_found_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ""
    for color in ("red", "blue"):
        stream = io.BytesIO()
        Image.new("RGB", (2400, 100), color).save(stream, "WEBP", lossless=True)
        page += f'<img src="data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}">'
    (tmp_path / "page.html").write_text(page)
    out = tmp_path / "picture.webp"
    words = ["page", str(tmp_path / "page.html"), "--number", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["draw.py", *words])
    draw.main()
    with Image.open(out) as picture:
        assert picture.size == (1200, 50)
        assert picture.convert("RGB").getpixel((9, 9)) == pytest.approx((0, 0, 255), abs=8)
