"""What ``vecsetx reconstruct`` writes and says of a heart."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from support.analytic_fields import AnalyticField, Distance, any_of, ball, grid_about
from support.command_line import run
from support.pages import documented_fields
from support.runs import untrained
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from vecsetx import doubtful, encode, load, surfaces
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.heart_source import HeartSource
from vecsetx.errors import InputError
from vecsetx.evaluation.heart_remarks import as_sentence
from vecsetx.evaluation.reconstructed_heart import ReconstructedHeart
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.inference.doubts import WHOLE_ONLY
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart_meshes import SurfaceKind
from vecsetx.manifest.contents import MANIFEST
from vecsetx.model.heart_field import HeartField
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.quality.cohort import Usual
from vecsetx.sampling.quality.usual_heart import UsualHeart, UsualStructure
from vecsetx.workers.heart_work import RECORDS

NAMES = ("LV", "RV", "LA")
IDS = label_set("default")
TRUE = {"LV": ball((0, 0, 0), 20), "RV": ball((0, 28, -14), 7), "LA": ball((-18, -4, -20), 8)}
QUICK = ReconstructOptions(EncodeOptions(points=200, refine=0), resolution=40, page=False)
TABLES = {"labels.ctbl", "labels.itksnap.txt"}


def scan(above_mm: float = 45.0) -> LabelMap:
    """The true shapes on a grid that ends ``above_mm`` above the middle of the LV."""
    whole = grid_about((0, 0, 0), np.diag([1.0, 1.0, 1.5]), 45)
    i, j, _ = whole.shape
    return rasterize(AnalyticField(TRUE), replace(whole, shape=(i, j, int((45 + above_mm) / 1.5))))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    untrained(NAMES).save_pretrained(folder)
    return folder


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Distance]:
    """The model predicts these shapes; a test may change them."""
    shapes = dict(TRUE)

    def distances_mm(_: HeartField, points_mm: np.ndarray) -> np.ndarray:
        return AnalyticField(shapes).distances_mm(points_mm)

    monkeypatch.setattr(HeartField, "distances_mm", distances_mm)
    return shapes


def reconstructed(model: Path, heart: LabelMap, folder: Path, options: ReconstructOptions) -> dict:
    """Reconstruct into ``folder/out``; return the summary."""
    write_label_map(heart.to_label_set(IDS, NAMES), folder / "heart.nii.gz")
    assert reconstruct(model, [folder / "heart.nii.gz"], folder / "out", options) == {}
    return json.loads((folder / "out" / "summary.json").read_text())


def polydata(path: Path) -> tuple[np.ndarray, np.ndarray]:
    reader = vtkXMLPolyDataReader(file_name=str(path))
    reader.Update()
    mesh = reader.GetOutput()
    faces = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return vtk_to_numpy(mesh.GetPoints().GetData()), faces


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {RECORDS, MANIFEST}


def meshes(extension: str) -> set[str]:
    return {f"{name}.{extension}" for name in NAMES}


@pytest.mark.usefixtures("predicted")
def test_labels_have_the_inputs_ids_and_new_ones_that_are_told(model: Path, tmp_path: Path) -> None:
    """The model knows more structures than the input's label set."""
    ids = LabelSet.from_dict({"name": "two", "ids": {205: "LV", 600: "RV"}}, "")
    shown = scan().without([NAMES.index("LA") + 1])
    heart = replace(shown, labels=np.array([0, 205, 600], np.uint16)[shown.labels])
    write_label_map(heart, tmp_path / "heart.nii.gz")
    encode = replace(QUICK.encode, label_set=ids)
    options = replace(QUICK, encode=encode)
    assert reconstruct(model, [tmp_path / "heart.nii.gz"], tmp_path / "out", options) == {}
    found = read_label_map(tmp_path / "out" / "labels.nii.gz").labels
    assert set(np.unique(found)) == {0, 205, 600, IDS.id_of("LA")}
    inside = heart.labels > 0
    assert (found[inside] == heart.labels[inside]).mean() > 0.99
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    told = f"labels.nii.gz uses ids that label set two does not have: LA {IDS.id_of('LA')}"
    assert told in summary["provenance"]["remarks"]
    assert set(summary) == documented_fields("summary.json")
    of_structure = documented_fields("A structure of a reconstruction")
    assert set(summary["structures"]["LV"]) | {"sd_mm"} == of_structure
    # Without the LA, there is nothing to tell of it.
    options = replace(options, structures=("LV", "RV"))
    assert reconstruct(model, [tmp_path / "heart.nii.gz"], tmp_path / "some", options) == {}
    summary = json.loads((tmp_path / "some" / "summary.json").read_text())
    assert told not in summary["provenance"]["remarks"]


@pytest.mark.usefixtures("predicted")
def test_a_folder_lists_its_files_and_holds_those_of_one_run(model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    labels = {"labels.nii.gz", *TABLES}
    for extension, more, options in (
        ("vtp", {"interfaces.vtp", *labels}, QUICK),
        ("obj", {f"{name}.mtl" for name in NAMES}, replace(QUICK, surfaces="closed", labels=False)),
        ("stl", {"interfaces.vtp", *labels}, QUICK),
    ):
        options = replace(options, extension=extension)
        summary = reconstructed(model, scan(), tmp_path, options)
        # Nothing is inferred of a whole heart, so there is no inferred.nii.gz.
        assert set(summary["files"]) == {*meshes(extension), "heart.glb", *more}
        assert files(tmp_path / "out") == {*summary["files"], "summary.json", "notes.txt"}
        assert all("3D Slicer" in summary["files"][name] for name in meshes(extension))
        # Shared walls are not for printing.
        assert not any("printers" in purpose for purpose in summary["files"].values())
    closed = replace(QUICK, extension="stl", surfaces="closed")
    summary = reconstructed(model, scan(), tmp_path, closed)
    assert all("printers" in summary["files"][name] for name in meshes("stl"))


@pytest.mark.usefixtures("predicted")
def test_what_is_inferred_has_a_file(model: Path, tmp_path: Path) -> None:
    options = replace(QUICK, encode=replace(QUICK.encode, hide=("LA",)))
    assert "inferred.nii.gz" in reconstructed(model, scan(), tmp_path, options)["files"]
    inferred = np.asarray(nib.load(tmp_path / "out" / "inferred.nii.gz").dataobj)
    assert np.unique(inferred).tolist() == [0, IDS.id_of("LA")]
    # Elsewhere, without the summary, the files themselves still say so.
    (elsewhere := tmp_path / "elsewhere").mkdir()
    for file in ("labels.nii.gz", "inferred.nii.gz", *meshes("vtp")):
        shutil.move(tmp_path / "out" / file, elsewhere / file)
    remark = "inferred by vecsetx reconstruct, taken as observed here: LA"
    for file in ("labels.nii.gz", "inferred.nii.gz"):
        assert remark in read_label_map(elsewhere / file).remarks
    (heart,) = find_hearts([elsewhere]).values()
    assert heart.kind == "meshes"
    assert remark in heart.segmentation(tuple(NAMES)).label_map.remarks


def test_what_does_not_fit_training_hearts_is_doubtful(
    predicted: dict[str, Distance],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The hidden LA comes back whole, as a small ball, and not at all."""
    true_ml = 4 / 3 * np.pi * 0.8**3
    la = UsualStructure(20, 0.0, Usual(true_ml, 0.1, 10**6), 1, {})
    cohort = UsualHeart(20, {"LA": la})
    replace(untrained(NAMES), usual=cohort).save_pretrained(tmp_path / "model")
    options = replace(QUICK, encode=replace(QUICK.encode, hide=("LA",)), page=True)
    found = []
    for shape in (TRUE["LA"], ball((-18, -4, -20), 5), ball((500, 0, 0), 1)):
        predicted["LA"] = shape
        shutil.rmtree(tmp_path / "out" / RECORDS, ignore_errors=True)  # they do not know the shape
        summary = reconstructed(tmp_path / "model", scan(), tmp_path, options)
        assert "not checked" not in " ".join(summary["provenance"]["remarks"])
        assert summary["structures"]["LV"]["doubtful"] is None
        found.append(summary["structures"]["LA"]["doubtful"])
    assert found[0] == []
    assert re.fullmatch(
        r"0\.5\d? ml in its mesh, and training hearts have 1\.4 to 3\.2 ml", found[1][0]
    )
    assert found[2] == ["it has no surface"]
    output = " ".join(capsys.readouterr().out.split())
    assert f"LA is doubtful: {found[1][0]}" in output
    assert "LA is doubtful: it has no surface" in output
    assert "LA is doubtful: it has no surface" in (tmp_path / "out" / "heart.html").read_text()
    # The Python API finds the same, and says so.
    predicted["LA"] = ball((-18, -4, -20), 5)
    trained = load(tmp_path / "model")
    heart = encode(trained, tmp_path / "heart.nii.gz", hide=["LA"], points=200)
    assert doubtful(heart, resolution=40) == {"LV": None, "RV": None, "LA": found[1]}
    surfaces(heart, resolution=40)
    assert f"LA is doubtful: {found[1][0]}" in caplog.text


@pytest.mark.usefixtures("predicted")
def test_that_a_model_does_not_say_what_is_usual_is_said(model: Path, tmp_path: Path) -> None:
    options = replace(QUICK, encode=replace(QUICK.encode, hide=("LA",)))
    summary = reconstructed(model, scan(), tmp_path, options)
    *others, remark = summary["provenance"]["remarks"]
    assert remark.startswith("what is inferred was not checked against training hearts")
    assert {one["doubtful"] for one in summary["structures"].values()} == {None}
    assert reconstructed(model, scan(), tmp_path, QUICK)["provenance"]["remarks"] == others


@pytest.mark.usefixtures("predicted")
def test_several_hearts_have_a_folder_each_and_a_single_one_has_none(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = [tmp_path / "maps" / f"{name}.nii.gz" for name in "ab"]
    for path in maps:
        write_label_map(scan().to_label_set(IDS, NAMES), path)
    assert reconstruct(model, maps, tmp_path / "two", QUICK) == {}
    assert files(tmp_path / "two") == {"a", "b"}
    output = " ".join(capsys.readouterr().out.split())
    # The same seed gives the same files; only the time that it took differs.
    for name in files(tmp_path / "two" / "a") - {"summary.json"}:
        one, other = ((tmp_path / "two" / heart / name).read_bytes() for heart in "ab")
        assert one == other
    assert "and 1 more beside it" in output
    assert output.count("Structure") == 2
    assert reconstruct(model, maps[:1], tmp_path / "one", QUICK) == {}
    assert files(tmp_path / "one") == files(tmp_path / "two" / "a")


def test_volumes_and_overlap_are_those_of_the_two_label_maps(
    model: Path, predicted: dict[str, Distance], tmp_path: Path
) -> None:
    predicted["LV"], predicted["RV"] = ball((2, 0, 0), 20), ball((0, 28, -14), 6)
    # The LA is hidden from the model, and compared all the same.
    options = replace(QUICK, encode=replace(QUICK.encode, hide=("LA",)))
    found = reconstructed(model, scan(), tmp_path, options)["structures"]
    truth, made = (
        read_label_map(path).labels
        for path in (tmp_path / "heart.nii.gz", tmp_path / "out" / "labels.nii.gz")
    )
    for name in NAMES:
        true, mine = truth == IDS.id_of(name), made == IDS.id_of(name)
        agreement = found[name]["agreement"]
        assert agreement["dice"] == pytest.approx(
            2 * (true & mine).sum() / (true.sum() + mine.sum())
        )
        assert agreement["volume_difference"] == pytest.approx(mine.sum() / true.sum() - 1)
        assert agreement["ml"] == pytest.approx(mine.sum() * 1.5 / 1000)
        assert agreement["input_ml"] == pytest.approx(true.sum() * 1.5 / 1000)
        assert agreement["volume_differs"] is (name == "RV")
        assert found[name]["labels_ml"] == pytest.approx(mine.sum() * 1.5 / 1000)


def test_specks_go_unless_they_are_kept_or_were_seen(
    model: Path, predicted: dict[str, Distance], tmp_path: Path
) -> None:
    speck_mm = (0.0, -30.0, 0.0)
    predicted["RV"] = any_of(TRUE["RV"], ball(speck_mm, 3.5))
    for keep, seen in ((False, False), (True, False), (False, True)):
        heart = scan()
        if seen:
            there = AnalyticField({"LV": ball((500, 0, 0), 5), "RV": ball(speck_mm, 3.5)})
            heart = replace(heart, labels=np.maximum(heart.labels, rasterize(there, heart).labels))
        found = reconstructed(model, heart, tmp_path, replace(QUICK, keep_specks=keep))
        rv = found["structures"]["RV"]
        labels = read_label_map(tmp_path / "out" / "labels.nii.gz")
        if keep or seen:
            assert (rv["pieces"], rv["labels_pieces"], rv["specks"]) == (2, 2, None)
            assert labels.at(np.array([speck_mm]))[0] == IDS.id_of("RV")
        else:
            assert (rv["pieces"], rv["labels_pieces"], rv["specks"]["number"]) == (1, 1, 1)
            assert rv["specks"]["ml"] == pytest.approx(4 / 3 * np.pi * 3.5**3 / 1000, rel=0.1)
            assert labels.at(np.array([speck_mm]))[0] == 0
            assert rv["volume_ml"] == pytest.approx(4 / 3 * np.pi * 7**3 / 1000, rel=0.05)


@pytest.mark.usefixtures("predicted")
def test_what_the_grid_loses_is_said_and_an_enlarged_grid_keeps_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cropped = scan(above_mm=6)
    options = replace(QUICK, resolution=80, keep_observed=True)
    small = reconstructed(model, cropped, tmp_path, options)
    found = small["structures"]["LV"]
    assert found["labels_ml"] < 0.8 * found["volume_ml"]
    lost = found["beyond_grid"]
    assert lost["ml"] == pytest.approx(found["volume_ml"] - found["labels_ml"])
    assert lost["share"] == pytest.approx(lost["ml"] / found["volume_ml"])
    volumes = f"LV ({lost['ml']:.1f} of {found['volume_ml']:.1f} ml, {lost['share']:.0%})"
    *others, remark = small["provenance"]["remarks"]
    assert remark == (
        f"labels.nii.gz lacks what lies beyond its grid, of {volumes}: --enlarge enlarges it to "
        "hold the whole heart, and --like IMAGE takes that of an image that does"
    )
    assert volumes in " ".join(capsys.readouterr().out.split())
    before = read_label_map(tmp_path / "out" / "labels.nii.gz")
    large = reconstructed(model, cropped, tmp_path, replace(options, enlarge=True))
    *others_again, grown = large["provenance"]["remarks"]
    assert others_again == others
    kept = large["structures"]["LV"]
    assert kept["beyond_grid"] is None
    assert kept["labels_ml"] == pytest.approx(kept["volume_ml"], rel=0.02)
    assert kept["agreement"] == found["agreement"]
    # The voxels that the input has are the same, where they were.
    after = read_label_map(tmp_path / "out" / "labels.nii.gz")
    sizes = [" × ".join(map(str, one.shape)) for one in (after, before)]
    assert grown == f"labels.nii.gz has {sizes[0]} voxels, and the input {sizes[1]}"
    whole = reconstructed(model, scan(), tmp_path, replace(QUICK, enlarge=True))
    assert whole["provenance"]["remarks"][-1].startswith("--enlarge added no voxels, as")
    indices = np.argwhere(np.ones(before.shape, dtype=bool))
    np.testing.assert_array_equal(after.at(before.to_mm(indices)), before.labels.ravel())
    moved = after.to_indices(before.affine[:3, 3])
    np.testing.assert_allclose(moved, np.rint(moved), atol=1e-4)


@pytest.mark.usefixtures("predicted")
def test_little_beyond_the_grid_is_in_the_summary_alone(model: Path, tmp_path: Path) -> None:
    """A slice more is more than 2% of the ball of 20 mm, and less than 5%."""
    options = replace(QUICK, resolution=80, keep_observed=True)
    summary = reconstructed(model, scan(above_mm=15.5), tmp_path, options)
    lost = summary["structures"]["LV"]["beyond_grid"]
    assert 0.02 < lost["share"] < 0.05
    assert lost["ml"] == pytest.approx(lost["share"] * summary["structures"]["LV"]["volume_ml"])
    assert not any("beyond its grid" in remark for remark in summary["provenance"]["remarks"])


@pytest.mark.usefixtures("predicted")
def test_a_model_of_whole_hearts_says_that_it_cannot_infer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """In the terminal, the page, the summary and the API; of whole hearts, nothing is said."""
    replace(untrained(NAMES), partial=False).save_pretrained(tmp_path / "model")
    encoding = replace(QUICK.encode, hide=("LA",), refine=None)
    hidden = replace(QUICK, encode=encoding, page=True)
    summary = reconstructed(tmp_path / "model", scan(), tmp_path, hidden)
    (remark,) = (r for r in summary["provenance"]["remarks"] if r.startswith(WHOLE_ONLY))
    assert "so what it infers is not to be trusted (LA)" in remark
    assert "--preset tiny-partial" in remark
    assert summary["structures"]["LA"]["doubtful"] == [WHOLE_ONLY]
    output = " ".join(capsys.readouterr().out.split())
    page = re.sub(r"</?span[^>]*>", "", (tmp_path / "out" / "heart.html").read_text())
    for text in (as_sentence(remark), f"LA is doubtful: {WHOLE_ONLY}"):
        assert text in output
        assert text in page
    assert "Not refined, as the input shows nothing of LA (--hide LA)" in page
    # The page shows what the model did not see beside what it made of it.
    (shown,) = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["hearts"]
    assert {mesh["name"] for mesh in shown["layout"]["truth"]} == set(NAMES)
    heart = encode(load(tmp_path / "model"), tmp_path / "heart.nii.gz", hide=["LA"], points=200)
    assert doubtful(heart, resolution=40)["LA"] == [WHOLE_ONLY]
    surfaces(heart, resolution=40)
    assert remark in caplog.messages
    whole = reconstructed(tmp_path / "model", scan(), tmp_path, QUICK)
    assert WHOLE_ONLY not in json.dumps(whole)


@pytest.mark.usefixtures("predicted")
def test_without_label_maps_nothing_is_said_of_voxels(model: Path, tmp_path: Path) -> None:
    summary = reconstructed(model, scan(), tmp_path, replace(QUICK, labels=False))
    assert summary["provenance"]["not_compared"] == "there is no labels.nii.gz (--no-labels)"
    for found in summary["structures"].values():
        keys = ("voxels", "labels_ml", "labels_pieces", "agreement")
        assert [found[key] for key in keys] == [None] * 4
        assert found["pieces"] == 1
    for options in (replace(QUICK, enlarge=True), replace(QUICK, like=tmp_path / "heart.nii.gz")):
        with pytest.raises(InputError, match="which --no-labels leaves out"):
            reconstruct(model, [], tmp_path / "other", replace(options, labels=False))
    assert not (tmp_path / "other").exists()


def test_the_command_says_what_it_made_and_what_differs_from_training(
    dataset: DataSet,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("reconstruct", dataset.hearts[0].source, "--model", trained_run, "--out", tmp_path)
    quick = ("--resolution", 32, "--refine", 0, "--no-labels")
    assert run(*words, *quick, monkeypatch=monkeypatch) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    made = summary["provenance"]
    assert (made["latents"], made["latents_in_training"]) == (64, 32)
    assert (made["points"], made["points_in_training"]) == (1024, 256)
    assert summary["seconds"].keys() == {"encode", "mesh", "label", "write"}
    output = capsys.readouterr().out
    for name, found in summary["structures"].items():
        assert any(
            line.split()[:2] == [name, f"{found['volume_ml']:.1f}"] for line in output.splitlines()
        )
    folded = "".join(output.split())
    for name, purpose in summary["files"].items():
        assert name in folded
        assert "".join(purpose.split()[:2]) in folded


@pytest.mark.usefixtures("predicted")
def test_a_heart_beyond_all_memory_leaves_the_others(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecsetx.cohort import reconstructing as module

    (tmp_path / "hearts").mkdir()
    for name in ("huge", "usual"):
        write_label_map(scan().to_label_set(IDS, NAMES), tmp_path / "hearts" / f"{name}.nii.gz")
    done = module.reconstruct_heart

    def short_of_memory(source: HeartSource, *others: object) -> ReconstructedHeart:
        if source.name == "huge":
            raise MemoryError
        return done(source, *others)

    monkeypatch.setattr(module, "reconstruct_heart", short_of_memory)
    failed = reconstruct(model, [tmp_path / "hearts"], tmp_path / "out", QUICK)
    assert list(failed) == ["huge"]
    assert failed["huge"].startswith("huge: takes more memory than there is; see its size with ")
    assert files(tmp_path / "out") == {"usual"}


@pytest.mark.parametrize("kind", ["shared", "closed"])
def test_some_structures_come_out_as_they_are_among_the_others(
    model: Path, predicted: dict[str, Distance], tmp_path: Path, kind: SurfaceKind
) -> None:
    predicted["LV"] = ball((0, 0, 0), 20)
    predicted["RV"] = ball((0, 18, 0), 12)  # they share a wall
    heart = rasterize(AnalyticField(predicted), grid_about((0, 0, 0), np.diag([1.0, 1, 1]), 45))
    options = replace(QUICK, surfaces=kind)
    (tmp_path / "all").mkdir()
    (tmp_path / "some").mkdir()
    whole = reconstructed(model, heart, tmp_path / "all", options)
    some = replace(options, structures=("LV",))
    limited = reconstructed(model, heart, tmp_path / "some", some)
    assert limited["structures"] == {"LV": whole["structures"]["LV"]}
    one, other = (tmp_path / each / "out" / "LV.vtp" for each in ("all", "some"))
    assert one.read_bytes() == other.read_bytes()
    assert not {"RV.vtp", "LA.vtp"} & files(tmp_path / "some" / "out")
    before, after = (
        read_label_map(tmp_path / each / "out" / "labels.nii.gz").labels for each in ("all", "some")
    )
    np.testing.assert_array_equal(after, np.where(before == IDS.id_of("LV"), before, 0))
    assert set(np.unique(before)) == {0, *map(IDS.id_of, NAMES)}
    if kind == "shared":
        walls = [
            trimesh.Trimesh(*polydata(tmp_path / each / "out" / "interfaces.vtp"))
            for each in ("all", "some")
        ]
        assert len(walls[1].faces) < len(walls[0].faces)
        assert walls[1].area == pytest.approx(limited["structures"]["LV"]["area_mm2"], rel=1e-5)
