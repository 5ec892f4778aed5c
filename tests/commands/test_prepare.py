"""Data sets of several inputs, added to, copied, killed in the middle, and given bad hearts."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.dask_cluster import two_workers
from support.forked import forked, run_command
from support.hearts import write_small_phantoms
from support.here import work_here
from support.small_files import run_command_with_small_files
from support.waiting import LONGEST_SECONDS, wait_until
from typer.testing import CliRunner

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.cli import app
from vecsetx.commands import check as checking
from vecsetx.commands import prepare as preparing
from vecsetx.commands.check import check
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.sampling.sampler import SamplingSpec

OPTIONS = PrepareOptions(label_set("default"), sampling=SamplingSpec(800, 800, 800), workers=1)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    work_here(monkeypatch, checking, preparing)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_small_phantoms(tmp_path_factory.mktemp("maps"), 5)


@pytest.fixture(scope="module")
def six(maps: list[Path]) -> Path:
    """A folder of six hearts, enough for a run to be killed in the middle."""
    folder = maps[0].parent
    write_small_phantoms(folder, 6)
    return folder


def test_hearts_added_later_keep_the_places_of_those_before(
    maps: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = prepare(maps[:3], tmp_path / "data", OPTIONS)
    assert "sampled before" not in capsys.readouterr().out
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "data" / "hearts").iterdir()}
    both, failed = prepare(maps[3:], tmp_path / "data", OPTIONS)
    assert not failed
    assert [heart.name for heart in both.hearts] == [f"phantom{i:02d}" for i in range(5)]
    assert tuple(heart for heart in both.hearts if heart in first.hearts) == first.hearts
    assert {f: f.stat().st_mtime_ns for f in files} == files
    assert DataSet.read(tmp_path / "data") == both
    assert "sampled before" not in capsys.readouterr().out
    assert prepare(maps, tmp_path / "data", OPTIONS)[0] == both
    assert "sampled before, and kept: 5 of 5 hearts\n" in capsys.readouterr().out


def test_a_data_set_is_not_mixed_of_different_options(maps: list[Path], tmp_path: Path) -> None:
    prepare(maps[:1], tmp_path, OPTIONS)
    fewer = PrepareOptions(label_set("default"), sampling=SamplingSpec(700, 800, 800), workers=1)
    before = (tmp_path / "dataset.json").read_bytes()
    for inputs in (maps[1:2], maps[:1]):  # nor is all of it silently prepared otherwise
        with pytest.raises(InputError, match="with --points 800, not with --points 700; leave"):
            prepare(inputs, tmp_path, fewer)
    assert (tmp_path / "dataset.json").read_bytes() == before


def test_a_copy_is_found_whatever_its_name_place_and_axes(maps: list[Path], tmp_path: Path) -> None:
    heart = read_label_map(maps[0])
    affine = heart.affine.copy()
    affine[:3, 0] *= -1
    affine[:3, 3] = heart.to_mm(np.array([heart.shape[0] - 1, 0, 0])) + [5, 6, 7]
    flipped = np.pad(heart.labels[::-1], ((0, 0), (2, 3), (0, 0)))
    affine[:3, 3] += affine[:3, :3] @ [0, -2, 0]
    write_label_map(LabelMap(flipped, affine), tmp_path / "copy.nii.gz")
    data, failed = prepare([*maps[:2], tmp_path / "copy.nii.gz"], tmp_path / "data", OPTIONS)
    assert [heart.name for heart in data.hearts] == ["copy", "phantom01"]
    assert "same heart as copy" in failed["phantom00"]
    assert sorted(f.stem for f in (tmp_path / "data" / "hearts").iterdir()) == ["copy", "phantom01"]
    _, failed = prepare([maps[0]], tmp_path / "data", OPTIONS)
    assert "same heart as copy" in failed["phantom00"]


def test_another_heart_of_the_same_name_is_refused(maps: list[Path], tmp_path: Path) -> None:
    prepare(maps[:1], tmp_path / "data", OPTIONS)
    (tmp_path / "other").mkdir()
    other = shutil.copy(maps[1], tmp_path / "other" / maps[0].name)
    data, failed = prepare([other, maps[2]], tmp_path / "data", OPTIONS)
    assert "another heart named phantom00" in failed["phantom00"]
    assert [heart.name for heart in data.hearts] == ["phantom00", "phantom02"]


def test_data_sets_of_different_label_sets_are_learned_from_together(
    maps: list[Path], tmp_path: Path
) -> None:
    """Each heart has a loss for the structures that its own data set annotates."""
    theirs = LabelSet("theirs", {5: "SVC", 7: "RA", 9: "LV"})
    ours = read_label_map(maps[1])
    lookup = np.zeros(11, np.uint8)
    lookup[[3, 4, 10]] = 9, 7, 5  # a vein under the name of another
    write_label_map(LabelMap(lookup[ours.labels], ours.affine), tmp_path / "theirs.nii.gz")
    default = label_set("default").structures
    prepare([maps[0]], tmp_path / "data", OPTIONS)
    other = PrepareOptions(theirs, sampling=OPTIONS.sampling, workers=1)
    data, failed = prepare([tmp_path / "theirs.nii.gz"], tmp_path / "data", other)
    assert not failed
    assert data.structures == (*default, "SVC")
    spec = BatchSpec(hearts=1, points=256, surface=32, near=64, volume=64)
    for heart in data.hearts:
        batch = TrainingBatches(data, [heart], spec, None, seed=0).batch(0)
        known = np.array([name in heart.annotated for name in data.structures])
        np.testing.assert_array_equal((batch.near.known[0] > 0).any(dim=0), known)
        drawn = {data.structures[k] for k in batch.structure.unique().tolist()}
        assert drawn == set(heart.annotated)
        finite = np.isfinite(batch.near.distances[0].numpy()).all(axis=0)
        np.testing.assert_array_equal(finite, known)
    assert data.hearts[1].annotated == ("SVC", "RA", "LV")
    assert set(data.structures) <= set(data.label_set().structures)


def test_label_sets_of_one_name_are_one_label_set(maps: list[Path], tmp_path: Path) -> None:
    """Also where one of them was chosen by a file's ids, once it was read."""
    ids = label_set("mmwhs")
    structures = ids.structures
    found = read_label_map(maps[1]).to_structures(label_set("default"), structures, "")
    write_label_map(found.to_label_set(ids, structures), tmp_path / "theirs.nii.gz")
    own = replace(label_set("default"), name="mmwhs")
    data = tmp_path / "data"
    prepare([maps[0]], data, replace(OPTIONS, label_set=own))
    before = (data / "dataset.json").read_bytes()
    with pytest.raises(InputError, match="label set mmwhs, and other hearts of the data set with"):
        prepare([tmp_path / "theirs.nii.gz"], data, replace(OPTIONS, label_set=None))
    assert (data / "dataset.json").read_bytes() == before


def wait_for_hearts(data: Path, count: int) -> None:
    hearts = data / "hearts"
    assert wait_until(lambda: len(list(hearts.glob("phantom*.safetensors"))) >= count)


def workers_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(word) for task in tasks for word in task.read_text().split()]
    return [child for child in children if command_of(child) == command_of(pid)]  # its forks


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds its workers in /proc")
@pytest.mark.parametrize("victim", ["a worker", "the parent"])
def test_a_run_that_is_killed_is_completed_by_a_second(
    victim: str, six: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    log = tmp_path / "log.txt"
    words = ["prepare", str(six), "--out", str(data), "--points", "4000", "--workers", "2"]
    first = forked(run_command, words, log)
    assert first.pid
    try:
        wait_for_hearts(data, 2)
        killed = first.pid if victim == "the parent" else workers_of(first.pid)[-1]
        os.kill(killed, signal.SIGKILL)
        first.join(LONGEST_SECONDS)
    finally:
        first.kill()
    if victim == "the parent":
        assert first.exitcode == -signal.SIGKILL
        assert not (data / "dataset.json").exists()
    else:
        assert first.exitcode == 0, log.read_text()
        assert len(DataSet.read(data).hearts) == 6
    second = CliRunner().invoke(app, words, catch_exceptions=False)
    assert second.exit_code == 0, second.output
    assert len(DataSet.read(data).hearts) == 6
    assert list(data.rglob(".unfinished*")) == []
    found = check(data, data / "check", pictures=0)
    assert found["state"] != "unfit", [heart["problems"] for heart in found["hearts"]]


@pytest.mark.slow
def test_a_dask_cluster_goes_on_when_a_worker_is_killed(six: Path, tmp_path: Path) -> None:
    from threading import Thread

    data = tmp_path / "data"
    made: list[tuple[DataSet, dict[str, str]]] = []
    with two_workers() as cluster:
        options = PrepareOptions(
            label_set("default"),
            sampling=SamplingSpec(4000, 4000, 4000),
            dask=cluster.scheduler_address,
        )
        run = Thread(target=lambda: made.append(prepare([six], data, options)))
        run.start()
        wait_for_hearts(data, 2)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        run.join(LONGEST_SECONDS)
    ((dataset, failed),) = made
    assert not failed
    assert len(dataset.hearts) == 6
    found = check(data, data / "check", pictures=0)
    assert found["state"] != "unfit", [heart["problems"] for heart in found["hearts"]]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_bad_hearts_are_told_and_the_good_one_is_made(maps: list[Path], tmp_path: Path) -> None:
    """All of the bad files at once: each is named, none leaves a trace, the good heart is there."""
    import gzip

    import nibabel as nib

    folder = tmp_path / "labels"
    folder.mkdir()
    good = Path(shutil.copy(maps[0], folder))
    content = good.read_bytes()
    (folder / "truncated.nii.gz").write_bytes(content[: len(content) // 2])
    (folder / "text.nii.gz").write_text("this is no image")
    labels = read_label_map(good).labels

    def save(name: str, values: np.ndarray, affine: np.ndarray | None = None) -> None:
        affine = np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine
        nib.save(nib.Nifti1Image(values, affine), folder / f"{name}.nii.gz")

    save("zero", np.zeros_like(labels))
    one = np.zeros_like(labels)
    one[20, 20, 20] = 3
    save("one_voxel", one)
    save("slice", labels[:, :, 28:29].copy())
    save("four_d", np.stack([labels, labels], axis=-1))
    save("fractions", labels.astype(np.float32) + 0.5)
    save("negative", labels.astype(np.int16) - 1)
    for name, row in (("nan_affine", [np.nan, 0, 0, 0]), ("singular", [0, 2, 0, 0])):
        raw = bytearray(gzip.decompress(content))
        raw[280:296] = np.array(row, "<f4").tobytes()  # srow_x
        (folder / f"{name}.nii.gz").write_bytes(gzip.compress(raw))
    bad = sorted(f.name.split(".")[0] for f in folder.iterdir() if f != good)
    result = CliRunner().invoke(
        app, ["prepare", str(folder), "--out", str(tmp_path / "data"), "--points", "800"]
    )
    assert result.exit_code == 1, result.output
    data = DataSet.read(tmp_path / "data")
    assert [heart.name for heart in data.hearts] == [good.name.split(".")[0]]
    for name in bad:
        assert f"{name}.nii.gz" in result.output, (name, result.output)
    assert "Traceback" not in result.output
    left = {f.name for f in (tmp_path / "data").rglob("*") if f.is_file()}
    assert left == {"dataset.json", "manifest.json", f"{data.hearts[0].name}.safetensors"}
    assert len(json.loads((tmp_path / "data" / "dataset.json").read_text())["hearts"]) == 1


def test_a_full_disk_fails_hearts_and_leaves_none_half_written(
    maps: list[Path], tmp_path: Path
) -> None:
    """The kernel refuses to let files grow beyond 200 kB; the largest heart needs more."""
    data, log = tmp_path / "data", tmp_path / "log.txt"
    words = ["prepare", str(maps[0]), "--out", str(data), "--points", "4000"]
    process = forked(run_command_with_small_files, words, log, 200_000)
    process.join(LONGEST_SECONDS)
    told = log.read_text()
    assert process.exitcode == 2, told
    assert "phantom00.safetensors: could not be written: file too large; raise the limit" in told
    assert "Traceback" not in told
    assert [f for f in data.rglob("*") if f.is_file()] == []


def test_meshes_with_holes_or_turned_inside_out_are_refused_and_whole_ones_prepared(
    tmp_path: Path,
) -> None:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4, radius=20.0)
    shell = trimesh.creation.icosphere(subdivisions=4, radius=8.0)
    shell.apply_translation([40, 0, 0])
    for name, spoil in (("whole", None), ("hole", "hole"), ("inverted", "inverted")):
        folder = tmp_path / "hearts" / name
        folder.mkdir(parents=True)
        shell.export(folder / "RV.stl")
        lv = ball.copy()
        if spoil == "hole":
            lv.update_faces(np.arange(len(lv.faces)) > 3)
        if spoil == "inverted":
            lv.invert()
        lv.export(folder / "LV.ply")
    data, failed = prepare([tmp_path / "hearts"], tmp_path / "data", OPTIONS)
    assert [heart.name for heart in data.hearts] == ["whole"]
    assert "open edges" in failed["hole"] or "hole" in failed["hole"].split(": ", 1)[1]
    assert "inwards" in failed["inverted"]
    samples = data.open(data.hearts[0]).read()
    centres = np.array([[0, 0, 0], [-40, 0, 0]])  # LPS in the files, RAS here
    names = list(samples.info.structures)
    for name, centre, radius in (("LV", centres[0], 20), ("RV", centres[1], 8)):
        found = samples.near.distances_mm[:, names.index(name)]
        true = np.linalg.norm(samples.near.points_mm - centre, axis=1) - radius
        close = np.abs(true) < 15.9
        assert np.abs(found - true)[close].max() < 0.05  # the flat faces of the mesh
    assert samples.info.trusted(samples.volume).all()
    found = check(tmp_path / "data", tmp_path / "check", workers=1, pictures=0)
    assert found["state"] != "unfit"


def test_two_runs_do_not_write_at_once(maps: list[Path], tmp_path: Path) -> None:
    from vecsetx.workers.lock import only_writer

    with only_writer(tmp_path / "data"), pytest.raises(InputError, match="another run"):
        prepare(maps[:1], tmp_path / "data", OPTIONS)
