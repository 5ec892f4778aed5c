"""``vecsetx reconstruct --frames``: a heart over its cycle."""

import csv
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest
from support.beats import (
    IDS,
    LV_MM,
    NAMES,
    STEP_MS,
    ball_ml,
    beating,
    label_map_at,
    saved_model,
    seeing_radii,
    without,
    written_series,
)
from support.command_line import run

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.commands.reconstruct import CohortOptions, ReconstructOptions, reconstruct
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.formats.series import read_series
from vecsetx.inference.encode import EncodeOptions

OPTIONS = ReconstructOptions(
    EncodeOptions(label_set=IDS, points=600, refine=0),
    resolution=56,
    page=False,
    trust_names=True,
    frames=True,
)
EMPTY = replace(label_map_at(20, 20), labels=0 * label_map_at(20, 20).labels)
WITHIN = 0.05
"""The radii that the model sees are those of voxels of 2.5 mm."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def sees_radii(monkeypatch: pytest.MonkeyPatch) -> None:
    seeing_radii(monkeypatch)


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and ".vecsetx" not in path.parts)
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in files
        if path.name != "summary.json" and path.suffix != ".lock"
    }


def remarks_of(out: Path) -> str:
    return "; ".join(json.loads((out / "summary.json").read_text())["remarks"])


def test_a_cycle_has_the_volumes_of_its_balls(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = beating()
    path = written_series(tmp_path / "cine.nii.gz", [*frames[:2], EMPTY, *frames[2:]])
    out = tmp_path / "out"
    assert reconstruct(model, [path], out, OPTIONS) == {}
    # 1. Volumes, and what follows from them.
    rows = table_of(out / "volumes.csv")
    assert [row["frame"] for row in rows] == ["1", "2", "4", "5"]
    assert [float(row["time_ms"]) for row in rows] == [0, STEP_MS, 3 * STEP_MS, 4 * STEP_MS]
    lv_ml = [float(row["LV_volume_ml"]) for row in rows]
    np.testing.assert_allclose(lv_ml, [ball_ml(radius) for radius in LV_MM], rtol=WITHIN)
    (row,) = table_of(out / "cycle.csv")
    assert (row["heart"], row["end_diastole_frame"], row["end_systole_frame"]) == ("cine", "1", "4")
    assert float(row["end_systole_time_ms"]) == 3 * STEP_MS
    assert float(row["LV_stroke_ml"]) == pytest.approx(lv_ml[0] - lv_ml[2], abs=1e-3)
    fraction = 100 * (1 - (LV_MM[2] / LV_MM[0]) ** 3)
    assert float(row["LV_ejection_fraction_percent"]) == pytest.approx(fraction, abs=2)
    measured = json.loads((out / "cycle.json").read_text())["hearts"]["cine"]["measures"]
    assert {name: one["value"] for name, one in measured.items()} == {
        name: pytest.approx(float(value), rel=1e-5)
        for name, value in row.items()
        if name != "heart"
    }
    assert "frame 3 has no labels and was left out" in remarks_of(out)
    # 2. The series of meshes.
    shown = ElementTree.parse(out / "heart.pvd").getroot().findall("./Collection/DataSet")
    assert len(shown) == 4 * len(NAMES)
    assert {one.get("file") for one in shown} == {
        f"frames/{number:03d}/{name}.vtp" for number in (1, 2, 4, 5) for name in NAMES
    }
    assert all((out / str(one.get("file"))).is_file() for one in shown)
    assert {float(str(one.get("timestep"))) for one in shown} == {0, 90, 270, 360}
    # 3. The label maps, with an empty one in place of the frame that has none.
    made = read_series(out / "labels.nii.gz")
    assert made.step_ms == STEP_MS
    counts = [np.count_nonzero(one.labels == IDS.id_of("LV")) for one in made.frames]
    assert counts[2] == 0
    spacing = made.frames[0].voxel_volume_mm3 / 1000
    np.testing.assert_allclose(np.delete(counts, 2) * spacing, lv_ml, rtol=WITHIN)
    # 4. Nothing is done twice.
    times = {path: path.stat().st_mtime_ns for path in (out / "frames").rglob("*.*")}
    capsys.readouterr()
    assert reconstruct(model, [path], out, OPTIONS) == {}
    assert "4 of 4 frames were done already" in capsys.readouterr().out
    assert times == {path: path.stat().st_mtime_ns for path in (out / "frames").rglob("*.*")}
    # 5. Fewer frames: no file of the others is left.
    written_series(path, frames[:3])
    assert reconstruct(model, [path], out, replace(OPTIONS, structures=("LV",))) == {}
    left = {path.relative_to(out).as_posix() for path in out.rglob("*.vtp")}
    assert left == {f"frames/{number:03d}/LV.vtp" for number in (1, 2, 3)}


def test_label_maps_in_order_give_the_same_frames(model: Path, tmp_path: Path) -> None:
    frames = beating()
    series = written_series(tmp_path / "cine.nii.gz", frames)
    assert reconstruct(model, [series], tmp_path / "one", OPTIONS) == {}
    paths = [tmp_path / f"{name}.nii.gz" for name in ("d", "c", "b", "a")]  # not by name
    for path, frame in zip(paths, frames, strict=True):
        write_label_map(frame, path, NAMES, IDS)
    assert reconstruct(model, paths, tmp_path / "several", OPTIONS) == {}
    first, second = (table_of(tmp_path / out / "volumes.csv") for out in ("one", "several"))
    assert [row.pop("file") for row in second] == [path.name for path in paths]
    assert second == [row | {"time_ms": ""} for row in first]
    assert "order in which the files were given" not in remarks_of(tmp_path / "several")
    collection = (tmp_path / "several" / "heart.pvd").read_text()
    assert 'timestep="4"' in collection
    assert "number of the frame" in collection


def test_frames_in_a_folder_come_in_the_order_of_their_numbers(model: Path, tmp_path: Path) -> None:
    frames, folder = beating(), tmp_path / "frames"
    folder.mkdir()
    paths = [folder / f"frame{number}.nii.gz" for number in (1, 2, 9, 10)]
    for path, frame in zip(paths, frames, strict=True):
        write_label_map(frame, path, NAMES, IDS)
    only = replace(OPTIONS, structures=("LV", "RV"))
    assert reconstruct(model, [folder], tmp_path / "out", only) == {}
    rows = table_of(tmp_path / "out" / "volumes.csv")
    assert [row["file"] for row in rows] == [path.name for path in paths]
    assert list(rows[0]) == ["frame", "file", "time_ms", "LV_volume_ml", "RV_volume_ml"]
    lv_ml = [float(row["LV_volume_ml"]) for row in rows]
    np.testing.assert_allclose(lv_ml, [ball_ml(radius) for radius in LV_MM], rtol=WITHIN)
    assert "order in which" not in remarks_of(tmp_path / "out")
    assert reconstruct(model, sorted(paths), tmp_path / "out", only) == {}  # as a shell sorts them
    assert "frame10.nii.gz is frame 2, before frame2.nii.gz" in remarks_of(tmp_path / "out")


def test_a_run_that_is_stopped_goes_on_to_the_same_files(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written_series(tmp_path / "cine.nii.gz", beating())
    assert reconstruct(model, [path], tmp_path / "whole", OPTIONS) == {}
    with monkeypatch.context() as patch:
        from vecsetx.cohort.reconstructing_frames import ReconstructingFrames

        make = ReconstructingFrames.make

        def stopped(work: ReconstructingFrames, frame):
            if frame.number == 3:
                raise KeyboardInterrupt
            return make(work, frame)

        patch.setattr(ReconstructingFrames, "make", stopped)
        with pytest.raises(KeyboardInterrupt):
            reconstruct(model, [path], tmp_path / "stopped", OPTIONS)
    assert json.loads((tmp_path / "stopped" / "summary.json").read_text())["unfinished"]
    assert not (tmp_path / "stopped" / "volumes.csv").exists()
    assert reconstruct(model, [path], tmp_path / "stopped", OPTIONS) == {}
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_frame_begins_from_the_one_before_and_from_nothing_else(
    model: Path, tmp_path: Path
) -> None:
    frames = beating()
    for name, shown in (("cine", frames), ("other", [frames[0], frames[3], *frames[2:]])):
        path = written_series(tmp_path / name / "cine.nii.gz", shown)
        assert reconstruct(model, [path], tmp_path / f"{name}-out", OPTIONS) == {}
    one, other = (contents(tmp_path / f"{name}-out") for name in ("cine", "other"))
    # The first frame is the same; the second differs, so the third begins from other anchors.
    assert one["frames/001/LV.vtp"] == other["frames/001/LV.vtp"]
    assert one["frames/002/LV.vtp"] != other["frames/002/LV.vtp"]
    assert one["frames/003/LV.vtp"] != other["frames/003/LV.vtp"]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (without(label_map_at(20, 20), "LV"), "it shows no LV, and other frames do"),
        (label_map_at(20, 20, moved_mm=34), "it shows another heart than the other frames"),
        (label_map_at(20, 20, muscle=0.3), "it shows another heart than the other frames"),
    ],
)
def test_a_frame_of_no_use_is_named_and_left_out(
    frame: LabelMap, told: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = beating()
    path = written_series(tmp_path / "cine.nii.gz", [frames[0], frame, *frames[1:]])
    assert reconstruct(model, [path], tmp_path / "out", OPTIONS) == {}
    assert f"frame 2 was left out: {told}" in remarks_of(tmp_path / "out")
    rows = table_of(tmp_path / "out" / "volumes.csv")
    assert [row["frame"] for row in rows] == ["1", "3", "4", "5"]
    # It lies beside the fullest frame, and may be fuller.
    (row,) = table_of(tmp_path / "out" / "cycle.csv")
    assert [row[name] for name in row if name != "heart"] == [""] * (len(row) - 1)
    said = " ".join(capsys.readouterr().out.split())
    assert "LV unknown: end diastole or end systole may be in frame 2, which was left out" in said
    assert said.count("frame 2 was left out") == 1


def test_muscle_that_differs_is_said_beside_the_ejection_fraction(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "cine.nii.gz", tmp_path / "out"
    written_series(path, [label_map_at(24, 22), label_map_at(20, 20, muscle=1.3)])
    assert reconstruct(model, [path], out, OPTIONS) == {}
    told = "a beating heart keeps its muscle"
    assert remarks_of(out).startswith(told)
    said = " ".join(capsys.readouterr().out.split())
    assert said.count(told) == 1
    assert said.index("ejection fraction %") < said.index(told)
    assert told in json.loads((out / "cycle.json").read_text())["hearts"]["cine"]["remarks"][0]
    written_series(path, beating())
    assert reconstruct(model, [path], out, OPTIONS) == {}
    assert told not in remarks_of(out)


def test_frames_without_labels_share_a_line_everywhere(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = beating()
    shown = [frames[0], EMPTY, EMPTY, EMPTY, frames[2], EMPTY]
    path, out = written_series(tmp_path / "cine.nii.gz", shown), tmp_path / "out"
    assert reconstruct(model, [path], out, replace(OPTIONS, page=True)) == {}
    told = "frames 2-4, 6 have no labels and were left out"
    assert remarks_of(out).count("left out") == 1
    said = " ".join(capsys.readouterr().out.split())
    for text in (remarks_of(out), said, (out / "heart.html").read_text("utf-8")):
        assert text.count(told) == 1
    assert bool(table_of(out / "cycle.csv")[0]["LV_ejection_fraction_percent"])


def test_unknown_volumes_say_why(model: Path, tmp_path: Path) -> None:
    frames = beating()
    frames[2] = without(frames[2], "RV")
    path = written_series(tmp_path / "cine.nii.gz", frames)
    assert reconstruct(model, [path], tmp_path / "out", OPTIONS) == {}
    content = json.loads((tmp_path / "out" / "cycle.json").read_text())
    measured = content["hearts"]["cine"]["measures"]["RV_ejection_fraction_percent"]
    assert measured == {"value": None, "reason": "the RV is not shown in frame 3"}
    rows = table_of(tmp_path / "out" / "volumes.csv")
    assert [bool(row["RV_volume_ml"]) for row in rows] == [True, True, False, True]
    # Cut by the edge of the scan: no ejection fraction at all.
    cut = [replace(one, labels=one.labels[:, 22:]) for one in beating()]
    written_series(path, cut)
    assert reconstruct(model, [path], tmp_path / "out", OPTIONS) == {}
    (row,) = table_of(tmp_path / "out" / "cycle.csv")
    assert [row[name] for name in row if name != "heart"] == [""] * (len(row) - 1)


def header_with(path: Path, step: float, code: int) -> Path:
    image = nib.load(path)
    image.header["pixdim"][4], image.header["xyzt_units"] = step, code
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    ("step", "code", "told"),
    [
        (0.0, 2 + 16, "its header gives a time step of 0 ms; times are unknown"),
        (0.09, 2, "its header gives a step of 0.09 without a unit; times are unknown"),
        (90.0, 2 + 32, "its header gives a step of 90 in a unit that is none of time"),
        (np.nan, 2 + 8, "its header gives a time step of nan ms"),
        (-90.0, 2 + 16, "its header gives a time step of -90 ms"),
        (90.0, 2 + 8, "its header gives 90000 ms from frame to frame, so 270000 ms for all 3"),
        (0.09, 2 + 8, ""),
        (90e3, 2 + 24, ""),
    ],
)
def test_times_are_as_the_header_says(step: float, code: int, told: str, tmp_path: Path) -> None:
    path = header_with(written_series(tmp_path / "cine.nii.gz", beating()[:3]), step, code)
    series = read_series(path)
    assert [remark[: len(told)] for remark in series.remarks] == [told] * bool(told)
    if told and "270000" not in told:
        assert series.step_ms is None
    else:
        assert series.step_ms == pytest.approx(90e3 if step == 90 else 90)


def bad_inputs(folder: Path) -> dict[str, tuple[list[Path], str]]:
    frames = beating()
    alone = folder / "alone.nii.gz"
    write_label_map(frames[0], alone, NAMES, IDS)
    shifted = replace(frames[1], affine=frames[1].affine + np.eye(4, k=3))
    other_grid = folder / "grid.nii.gz"
    write_label_map(shifted, other_grid, NAMES, IDS)
    five = folder / "five.nii.gz"
    values = np.stack([one.labels for one in frames], axis=3)[..., None].repeat(2, axis=4)
    nib.save(nib.Nifti1Image(values, frames[0].affine), five)
    cine = written_series(folder / "cine.nii.gz", frames)
    single = written_series(folder / "single.nii.gz", frames[:1])
    empty = written_series(folder / "empty.nii.gz", [EMPTY, EMPTY])
    half = written_series(folder / "half.nii.gz", [frames[0], EMPTY])
    two = written_series(folder / "two.nii.gz", [frames[0], label_map_at(20, 20, moved_mm=34)])
    nrrd = folder / "cine.nrrd"
    nrrd.write_bytes(b"NRRD0004\n")
    return {
        "3-D": ([alone], "alone.nii.gz: has a single frame, and --frames takes those of a cycle"),
        "one frame": ([single], "single.nii.gz: has a single frame"),
        "5-D": ([five], "five.nii.gz: a label map of a cycle has 4 dimensions"),
        "other grid": ([alone, other_grid], "grid.nii.gz: is on another grid than "),
        "both kinds": ([alone, cine], "cine.nii.gz: has 4 frames, and others are given beside it"),
        "no labels": ([empty], "empty.nii.gz: no frame has any label"),
        "one with labels": ([half], "half.nii.gz: a cycle needs two frames that show the heart"),
        "two hearts": ([two], "two.nii.gz: its frames show no common heart. In frames 1 and 2"),
        "no image": ([nrrd], "cine.nrrd: "),
    }


def test_bad_input_is_refused_before_anything_is_written(model: Path, tmp_path: Path) -> None:
    for title, (paths, told) in bad_inputs(tmp_path).items():
        with pytest.raises(InputError) as refused:
            reconstruct(model, paths, tmp_path / "out", OPTIONS)
        assert told in str(refused.value), title
        assert not [path for path in (tmp_path / "out").rglob("*.*") if path.suffix != ".lock"]
    few = replace(OPTIONS, most_voxels=100_000)
    with pytest.raises(InputError, match=r"claims .* voxels, more than the 100000 that are read"):
        reconstruct(model, [tmp_path / "cine.nii.gz"], tmp_path / "out", few)


def test_ids_that_are_swapped_in_one_frame_are_mended_there(model: Path, tmp_path: Path) -> None:
    frames = beating()
    lv, rv = IDS.id_of("LV"), IDS.id_of("RV")
    ids = np.arange(256, dtype=np.uint8)
    ids[[lv, rv]] = rv, lv
    frames[1] = replace(frames[1], labels=ids[frames[1].labels])
    path = written_series(tmp_path / "cine.nii.gz", [frames[0], frames[1], *frames[:1] * 3])
    with pytest.raises(InputError) as refused:
        reconstruct(model, [path], tmp_path / "out", replace(OPTIONS, trust_names=False))
    said = str(refused.value)
    assert said.startswith(f"{path}, frame 2: anatomy contradicts the structures' names from label")
    assert said.endswith(
        "Options hold for all frames: if only frame 2 has other ids than the rest, mend these in "
        "the file, or clear its labels"
    )
    # Names that are trusted are not held against anatomy.
    reconstruct(model, [path], tmp_path / "out", OPTIONS)
    assert (tmp_path / "out" / "cycle.csv").exists()


def test_a_frame_that_is_given_twice_is_refused(model: Path, tmp_path: Path) -> None:
    path = written_series(tmp_path / "one.nii.gz", beating()[:1])
    with pytest.raises(InputError, match=r"one\.nii\.gz: is given twice; give each frame once"):
        reconstruct(model, [path, path], tmp_path / "out", OPTIONS)


def test_what_reads_a_single_label_map_names_the_option(model: Path, tmp_path: Path) -> None:
    path = written_series(tmp_path / "cine.nii.gz", beating()[:2])
    with pytest.raises(InputError, match=r"has 3 dimensions.*vecsetx reconstruct --frames"):
        read_label_map(path)
    with pytest.raises(InputError, match=r"has 3 dimensions.*vecsetx reconstruct --frames"):
        reconstruct(model, [path], tmp_path / "out", replace(OPTIONS, frames=False))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--ensemble", 4], "--ensemble: does not go with --frames"),
        (["--keep-observed"], "--keep-observed: does not go with --frames"),
        (["--enlarge"], "--enlarge: does not go with --frames"),
        (["--recycle", 1], "--recycle: does not go with --frames"),
        (["--format", "stl"], "--format stl: does not go with --frames"),
        (["--one-heart"], "--one-heart: does not go with --frames"),
        (["--workers", 2], "--workers and --dask: change nothing with --frames"),
        (["--units", "cm"], "--units cm: changes nothing for "),
    ],
)
def test_options_that_do_not_go_with_frames_are_refused(
    words: list[object], told: str, model: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    path = written_series(tmp_path / "cine.nii.gz", beating()[:2])
    given = ["reconstruct", "--frames", path, "--model", model, "--out", tmp_path / "out"]
    assert run(*given, *words, monkeypatch=monkeypatch) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out" / "summary.json").exists()


def test_files_of_others_are_not_replaced(model: Path, tmp_path: Path) -> None:
    path = written_series(tmp_path / "cine.nii.gz", beating()[:2])
    out = tmp_path / "out"
    (out / "frames" / "002").mkdir(parents=True)
    (out / "frames" / "002" / "LV.vtp").write_text("mine")
    with pytest.raises(InputError, match=r"002/LV\.vtp: no earlier reconstruction wrote this"):
        reconstruct(model, [path], out, OPTIONS, CohortOptions())
    assert (out / "frames" / "002" / "LV.vtp").read_text() == "mine"


def test_volumes_change_smoothly_and_info_tells_the_cycle(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    radii = 20.5 + 3.5 * np.cos(np.linspace(0, 2 * np.pi, 7)[:-1])
    path = written_series(tmp_path / "cine.nii.gz", [label_map_at(r, 20) for r in radii])
    words = ["--model", model, "--labels", "default", "--points", 600, "--refine", 0]
    more = ["--resolution", 40, "--trust-names", "--no-labels", "--no-page", "--out", "out"]
    monkeypatch.chdir(tmp_path)
    assert run("reconstruct", "--frames", path, *words, *more, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "end diastole: frame 1 (0 ms); end systole: frame 4 (270 ms)" in said
    lv_ml = [float(row["LV_volume_ml"]) for row in table_of(tmp_path / "out" / "volumes.csv")]
    signs = [np.sign(after - before) for before, after in pairwise(lv_ml)]
    assert signs == [-1, -1, -1, 1, 1]
    assert run("info", "out", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert "cycle" in said
    assert "6" in said
