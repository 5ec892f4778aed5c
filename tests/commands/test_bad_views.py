"""``vecsetx reconstruct --one-heart`` with views that are damaged, alone or of other places."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from sliced_hearts import axes_of, plane_of
from support.analytic_fields import AnalyticField
from support.cine import BODIES, NAMES, cine, heart
from support.one_heart import IDS, OPTIONS, predict_truth, saved_model, written

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.commands.reconstruct import reconstruct
from vecsetx.errors import InputError
from vecsetx.formats.points import read_points


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory)


@pytest.fixture(autouse=True)
def truth(monkeypatch: pytest.MonkeyPatch) -> None:
    predict_truth(monkeypatch)


def aligned(model: Path, paths: list[Path], out: Path) -> dict:
    assert reconstruct(model, paths, out, OPTIONS) == {}
    return json.loads((out / "views" / "shifts.json").read_text())


def refused(model: Path, paths: list[Path], out: Path, told: str) -> None:
    with pytest.raises(InputError, match=told):
        reconstruct(model, paths, out, OPTIONS)
    assert not [path for path in out.rglob("*.*") if path.suffix != ".lock"]


def moved(view: LabelMap, by_mm: np.ndarray) -> LabelMap:
    affine = view.affine.copy()
    affine[:3, 3] += by_mm
    return LabelMap(view.labels, affine)


def with_affine(path: Path, affine: np.ndarray | None) -> None:
    """Write another affine into a NIfTI file; None: the file gives none."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<2h", content, 252, 0, int(affine is not None))  # qform_code, sform_code
    if affine is not None:
        struct.pack_into("<12f", content, 280, *affine[:3].ravel())
    path.write_bytes(gzip.compress(content))


FLAT = np.diag([1.5, 1.5, 8.0, 1.0])
FLAT[:3, 1] = FLAT[:3, 0]
BEYOND = np.diag([1.5, np.nan, 8.0, 1.0])


@pytest.mark.parametrize("affine", [None, FLAT, BEYOND], ids=["none", "flat", "nan"])
def test_a_view_with_a_bad_affine_is_refused(affine, model: Path, tmp_path: Path) -> None:
    paths = written(tmp_path / "in", cine()[0])
    with_affine(paths[1], affine)
    refused(model, paths, tmp_path / "out", rf"{paths[1].name}: ")


def test_one_slice_is_refused(model: Path, tmp_path: Path) -> None:
    paths = written(tmp_path / "in", {"4ch": cine()[0]["4ch"]})
    refused(model, paths, tmp_path / "out", r"4ch\.nii\.gz: a single slice")


def test_views_that_do_not_cross_are_put_together_by_the_model(model: Path, tmp_path: Path) -> None:
    """Every other slice of a stack in a file of its own, and no long axis."""
    stack, halves = cine()[0]["sax"], {}
    for name, first in (("even", 0), ("odd", 1)):
        affine = moved(stack, first * stack.affine[:3, 2]).affine
        affine[:3, 2] *= 2
        halves[name] = LabelMap(stack.labels[..., first::2].copy(), affine)
    table = aligned(model, written(tmp_path / "in", halves), tmp_path / "out")
    assert table["mismatch_mm"] == {"before": None, "after": None}
    assert any("no slices cross" in remark for remark in table["remarks"])
    assert table["left_out"] == []
    assert [row["slice"] for row in table["slices"]] == [1, 2, 3, 4, 5] * 2


def test_a_view_of_another_place_is_refused(model: Path, tmp_path: Path) -> None:
    """Its plane crosses the others, but no image shows the crossing."""
    views = cine()[0]
    far = moved(views["4ch"], np.array([300.0, 0.0, 0.0]))
    paths = written(tmp_path / "in", {"sax": views["sax"], "4ch": far})
    refused(model, paths, tmp_path / "out", r"4ch\.nii\.gz.*give views of one patient")


def test_three_corrupt_slices_of_forty_are_named_and_an_empty_one_is_nothing(
    model: Path, tmp_path: Path
) -> None:
    whole = heart()
    middle, (along, right, across) = axes_of(whole, NAMES)
    directions, step_mm = np.stack([right, across]), 2.1 * along
    first = middle - 46 * along
    ventricles = ("Myocardium", "LV", "RV")
    labels = np.stack(
        [
            plane_of(whole, NAMES, ventricles, first + n * step_mm, directions, np.zeros(3))
            for n in range(40)
        ],
        axis=2,
    )
    labels[..., 4] = 0
    # Moved by 3 cm, turned by half, and shrunk to half its size.
    labels[..., 14] = np.roll(labels[..., 14], (20, 0), axis=(0, 1))
    labels[..., 26] = labels[::-1, ::-1, 26]
    labels[..., 19] = np.pad(labels[::2, ::2, 19], 32)
    views, affine = {}, np.eye(4)
    affine[:3, :3] = np.stack([1.5 * right, 1.5 * across, 2 * step_mm], axis=1)
    for name, begin in (("even", 0), ("odd", 1)):
        affine[:3, 3] = first + begin * step_mm - 63.5 * 1.5 * directions.sum(axis=0)
        views[name] = LabelMap(labels[..., begin::2].copy(), affine.copy())
    still, _ = cine(largest_mm=0.0)
    views["4ch"] = still["4ch"]
    table = aligned(model, written(tmp_path / "in", views), tmp_path / "out")
    even, odd = [number for number in range(1, 21) if number != 3], [*range(1, 21)]
    assert [row["slice"] for row in table["slices"]] == [*even, *odd, 1]
    assert len(table["slices"]) == 40
    assert table["left_out"] == ["even 8", "even 14", "odd 10"]
    (remark,) = (remark for remark in table["remarks"] if "left out" in remark)
    assert all(f"{name} (" in remark for name in table["left_out"])
    # What is left lies on the true surfaces, and nothing of the three is there.
    points = read_points(tmp_path / "out" / "views" / "contours.csv", NAMES, IDS)
    heights = (points.points_mm - first) @ along / 2.1
    for number in (14, 26, 19):
        here = np.abs(heights - number) < 1e-3
        assert here.sum() < 60  # of 4CH alone
    own_mm = AnalyticField(BODIES, 20.0).distances_mm(points.points_mm)
    own_mm = np.abs(own_mm[np.arange(len(own_mm)), points.structure])
    assert np.median(own_mm) < 0.8
    assert np.quantile(own_mm, 0.95) < 3
