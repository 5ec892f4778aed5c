"""``vecsetx volume-mesh``: files in, meshes out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from support.command_line import run
from support.shared import made_once

from vecsetx.anatomy.phantom.phantom_heart import PhantomHeart
from vecsetx.cohort import volume_meshing
from vecsetx.cohort.heart_to_mesh import ReconstructingModel
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map

OPTIONS = ("--structures", "LV,Myocardium,RV", "--edge-mm", "3.5", "--workers", "1")


def meshing(out: Path) -> volume_meshing.VolumeMeshing:
    return volume_meshing.VolumeMeshing(
        out=out,
        edge_mm="4",
        structures="LV",
        without="",
        wall="",
        valves_mm=0.0,
        tags="label-set",
        fibres="none",
        sheets="",
        extension="vtu",
        space="lps",
        strict=False,
        seed=0,
    )


@pytest.fixture(scope="module")
def labels() -> Path:
    def make(folder: Path) -> None:
        (folder / "labels").mkdir(parents=True)
        for index, name in enumerate(("one", "two")):
            heart = PhantomHeart.random(np.random.default_rng([9, index])).voxelize(64, 2.2)
            write_label_map(heart, folder / "labels" / f"{name}.nii.gz")

    return made_once("meshed-hearts", make) / "labels"


def test_every_heart_becomes_a_mesh_in_its_place(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ("volume-mesh", labels, "--out", tmp_path / "out", *OPTIONS)
    assert run(*words, monkeypatch=monkeypatch) == 0
    content = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert list(content["hearts"]) == ["one", "two"]
    said = capsys.readouterr().out
    for name, of in content["hearts"].items():
        found = pv.read(tmp_path / "out" / f"{name}.vtu")
        assert found.n_cells == of["tetrahedra"]
        assert f"{of['tetrahedra']:,}" in said
        assert of["missed"] == []
        assert list(of["regions"]) == found.field_data["Structures"].tolist()
        assert of["edges_mm"] == dict.fromkeys(("Myocardium", "LV", "RV"), 3.5)
        scan = read_label_map(labels / f"{name}.nii.gz")
        centers = found.cell_centers().points * [-1, -1, 1]
        sizes = found.compute_cell_sizes()["Volume"]
        agrees = scan.at(centers) == found.cell_data["region"]
        assert np.average(agrees, weights=sizes) > 0.85
        fibre = np.linalg.norm(found.cell_data["fiber"], axis=1)
        assert fibre == pytest.approx((found.cell_data["region"] == 1).astype(float), abs=1e-6)
        inside = np.unique(found.cells_dict[pv.CellType.TETRA][found.cell_data["region"] == 1])
        for coordinate in ("transmural", "apicobasal", "ventricle"):
            assert np.isfinite(found.point_data[coordinate][inside]).all()
        assert np.median(np.asarray(agrees)[sizes > np.quantile(sizes, 0.9)]) == 1
        assert of["expected_tetrahedra"] == pytest.approx(of["tetrahedra"], rel=0.25)
        assert "model" not in of
    # A second run finds all done, and has all that the page shows; other edges are another mesh.
    files = ("one.vtu", "quality.json", "volume_mesh.html")
    before = [(tmp_path / "out" / file).read_bytes() for file in files]
    (tmp_path / "out" / "volume_mesh.html").unlink()
    monkeypatch.setattr(volume_meshing.VolumeMeshing, "make", None)
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert "2 of 2 hearts are done already" in capsys.readouterr().out
    assert [(tmp_path / "out" / file).read_bytes() for file in files] == before


def test_valves_walls_and_numbers_are_in_all_files(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ("volume-mesh", labels / "one.nii.gz", "--out", tmp_path / "out", "--workers", "1")
    edges = "4,LV=3.9,Aorta=2"
    options = ("--structures", "LV,Myocardium,LA", "--edge-mm", edges, "--wall", "LA=3")
    more = ("--valves", "4", "--tags", "four-chamber")
    assert run(*words, *options, *more, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    for remark in (
        "no TricuspidValve: RA is not meshed",
        "no AorticValve: Aorta is not meshed",
        "--edge-mm names Aorta, which is not meshed",
    ):
        assert remark in said
    (of,) = json.loads((tmp_path / "out" / "quality.json").read_text())["hearts"].values()
    tags = {"Myocardium": 1, "LA": 33, "LV": 31, "LAWall": 3, "MitralValve": 7}
    assert of["tags"] == tags
    assert of["edges_mm"]["MitralValve"] == 3
    assert of["edges_mm"]["LAWall"] == 2.25  # longer ones would leave holes
    mesh = pv.read(tmp_path / "out" / "one.vtu")
    written = mesh.field_data["Structures"].tolist(), mesh.field_data["Ids"].tolist()
    assert dict(zip(*written, strict=True)) == tags
    assert set(mesh.cell_data["region"].tolist()) == {*tags.values()}
    interfaces = pv.read(tmp_path / "out" / "one.interfaces.vtp")
    names = interfaces.field_data["Interfaces"].tolist()
    assert {"LA, MitralValve", "LV, MitralValve", "LA endocardium", "LA epicardium"} < {*names}
    assert "mitral valve" not in names
    ring = np.flatnonzero(mesh.point_data["mitral ring"])
    on_surface = interfaces.point_data["mitral ring"] == 1
    assert sorted(interfaces.point_data["Node"][on_surface].tolist()) == ring.tolist()
    assert len(ring) > 20


def test_a_heart_that_the_scan_cuts_ends_in_interfaces_of_their_own(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    whole = read_label_map(labels / "one.nii.gz")
    middle = int(np.argwhere(whole.labels == 3)[:, 2].mean())  # of the LV
    half = replace(whole, labels=np.ascontiguousarray(whole.labels[:, :, : middle + 1]))
    write_label_map(half, tmp_path / "cut.nii.gz")
    words = ("volume-mesh", tmp_path / "cut.nii.gz", "--out", tmp_path / "out", "--workers", "1")
    options = ("--structures", "LV,Myocardium", "--edge-mm", "4")
    run(*words, *options, monkeypatch=monkeypatch)
    assert "the scan cuts Myocardium, LV" in capsys.readouterr().out
    found = pv.read(tmp_path / "out" / "cut.interfaces.vtp")
    names = found.field_data["Interfaces"].tolist()
    assert {"LV cut", "Myocardium cut", "LV epicardium"} < {*names}
    areas = found.compute_cell_sizes()["Area"]
    for name, label in (("LV cut", 3), ("Myocardium cut", 1)):
        own = found.cell_data["Interface"] == names.index(name)
        voxels = np.count_nonzero(half.labels[:, :, -1] == label)
        assert areas[own].sum() == pytest.approx(voxels * 2.2**2, rel=0.15)
        assert (found.cell_data["Sides"][own] == [label, 0]).all()


def test_a_heart_that_fails_does_not_stop_the_others(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "in").mkdir()
    whole = read_label_map(labels / "one.nii.gz")
    write_label_map(whole, tmp_path / "in" / "a.nii.gz")
    write_label_map(whole.without([5]), tmp_path / "in" / "b.nii.gz")
    words = ("volume-mesh", tmp_path / "in", "--out", tmp_path / "out", *OPTIONS)
    assert run(*words, monkeypatch=monkeypatch) == 1
    assert "b.nii.gz: has no RV; it has Myocardium, LA" in capsys.readouterr().err
    assert [file.name for file in sorted((tmp_path / "out").glob("*.vtu"))] == ["a.vtu"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--edge-mm", "LW=1"), "--edge-mm LW: unknown structure 'LW'; did you mean LA or LV?"),
        (("--edge-mm", "0"), "--edge-mm 0: 0: must be a number from 0.1 to 20"),
        (("--fibres", "60"), "--fibres 60: give two angles of -90 to 90 degrees"),
        (("--sheets", "0,91"), "--sheets 0,91: give two angles of -90 to 90 degrees"),
        (("--structures", "spleen"), "--structures spleen: unknown structure 'spleen'"),
        (
            ("--refine", "5"),
            "--refine 5: refines the reconstruction of a model; add --model built-",
        ),
        (("--model", "nowhere"), "nowhere"),
    ],
)
def test_options_are_refused_before_anything_is_written(
    option: tuple[str, str],
    message: str,
    tmp_path: Path,
    labels: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    out = tmp_path / "out"
    assert run("volume-mesh", labels, "--out", out, *option, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_model_s_reconstruction_is_meshed_in_place_of_the_heart(
    labels: Path, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (labels / "one.nii.gz", "--model", trained_run, "--refine", 0)
    words = ("reconstruct", *given, "--out", tmp_path / "made", "--no-labels", "--no-page")
    assert run(*words, monkeypatch=monkeypatch) == 0
    made = json.loads((tmp_path / "made" / "summary.json").read_text())["structures"]
    run("volume-mesh", *given, "--out", tmp_path / "out", *OPTIONS, monkeypatch=monkeypatch)
    (heart,) = json.loads((tmp_path / "out" / "quality.json").read_text())["hearts"].values()
    assert heart["source"] == str(labels / "one.nii.gz")
    assert heart["model"] == str(trained_run.resolve())
    for name, of in heart["regions"].items():
        meshed_ml = of["volume_ml"] / (1 + of["volume_error"])
        assert meshed_ml == pytest.approx(made[name]["volume_ml"], rel=1e-4)
        assert abs(of["volume_error"]) < 0.05
    text = (tmp_path / "out" / "volume_mesh.html").read_text()
    assert f"<td>{trained_run.resolve()}</td>" in text


def test_a_bad_reconstruction_is_a_fault(labels: Path, trained_run: Path, tmp_path: Path) -> None:
    (heart,) = find_hearts([labels / "one.nii.gz"]).values()
    shared, _ = WorkingModel.of(trained_run, "cpu", here=False)
    # It knows hearts too little to pass for the built-in model.
    model = ReconstructingModel(shared, "built-in", 0)
    (tmp_path / "out").mkdir()
    work = replace(meshing(tmp_path / "out"), model=model)
    found = work.make(heart)
    assert found.misfit.startswith("the model reconstructs badly what it was shown")
    assert found.faults == (*found.quality.missed, found.misfit)
    assert work.of_record(json.loads(json.dumps(work.to_record(found)))) == found


def test_a_mesh_too_large_for_the_machine_is_refused(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (heart,) = find_hearts([labels / "one.nii.gz"]).values()
    work = meshing(tmp_path / "out")
    monkeypatch.setattr(volume_meshing, "machine_bytes", lambda: 10**6)
    with pytest.raises(InputError, match=r"edges of 4 mm give about .* --edge-mm 8 or --struct"):
        work.make(heart)
    assert not (tmp_path / "out").exists()


def read_numbers(path: Path, first: int) -> np.ndarray:
    """The numbers of a text file's rows, from a column on; its first line counts the rows."""
    count, *rows = path.read_text(encoding="ascii").splitlines()
    assert len(rows) == int(count)
    return np.array([row.split()[first:] for row in rows], dtype=float)


@pytest.mark.parametrize("extension", ["opencarp", "simvascular"])
def test_a_format_of_several_files_is_a_folder_that_a_second_run_keeps(
    extension: str,
    labels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    options = ("--structures", "LV,Myocardium", "--edge-mm", "6", "--format", extension)
    words = ("volume-mesh", labels / "one.nii.gz", "--out", tmp_path / "out", *options)
    assert run(*words, monkeypatch=monkeypatch) in (0, 1)  # long edges may miss a bound
    folder = tmp_path / "out" / "one"
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    page = "volume_mesh.html"
    assert there == [
        *(".vecsetx", "manifest.json", "one", "one.interfaces.vtp", "quality.json"),
        page,
    ]
    of = json.loads((tmp_path / "out" / "quality.json").read_text())["hearts"]["one"]
    if extension == "opencarp":
        points = read_numbers(folder / "one.pts", 0) / 1000
        regions = read_numbers(folder / "one.elem", 5).ravel()
    else:
        found = pv.read(folder / "mesh-complete.mesh.vtu")
        points, regions = found.points, found.cell_data["ModelRegionID"]
    assert len(regions) == of["tetrahedra"]
    interfaces = pv.read(tmp_path / "out" / "one.interfaces.vtp")
    assert points[interfaces.point_data["Node"]] == pytest.approx(interfaces.points, abs=1e-4)
    ids = interfaces.field_data["Ids"].tolist()
    assert sorted(set(regions.tolist())) == sorted(ids)

    # A file of the user's own does not matter as long as the mesh is as it was.
    (folder / "run.par").write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr(volume_meshing.VolumeMeshing, "make", None)
        run(*words, monkeypatch=patched)
    assert "the heart is done already" in capsys.readouterr().out
    # If a file is gone, all are made again, but not over the user's own.
    lost = next(file for file in folder.rglob("*endocardium*") if file.is_file())
    lost.unlink()
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert f"{folder}: would be replaced, but holds files" in capsys.readouterr().err
    (folder / "run.par").unlink()
    assert run(*words, monkeypatch=monkeypatch) in (0, 1)
    assert lost.is_file()


def test_blood_can_be_left_out(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ("volume-mesh", labels / "one.nii.gz", "--out", tmp_path / "out", *OPTIONS)
    assert run(*words, "--without", "RA", monkeypatch=monkeypatch) == 2
    message = "--without RA: there is no RA; the mesh has Myocardium, LV, RV"
    assert message in capsys.readouterr().err
    assert run(*words, "--without", "LV,RV", monkeypatch=monkeypatch) == 0
    muscle = pv.read(tmp_path / "out" / "one.vtu")
    assert set(muscle.cell_data["region"].tolist()) == {1}
    assert np.isfinite(muscle.point_data["transmural"]).all()
    surface = pv.read(tmp_path / "out" / "one.interfaces.vtp")
    names = surface.field_data["Interfaces"].tolist()
    assert {"LV endocardium", "RV septum", "LV epicardium"} <= set(names)
    assert set(map(tuple, surface.cell_data["Sides"].tolist())) == {(1, 0)}
    faces = surface.regular_faces
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    counts = np.unique(edges, axis=0, return_counts=True)[1]
    assert (counts % 2 == 0).all()  # closed
    depth = muscle.point_data["transmural"][surface.point_data["Node"]]
    inside = surface.cell_data["Interface"] == names.index("LV endocardium")
    assert not depth[faces[inside]].any()


def test_meshes_of_earlier_runs_are_named(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ("volume-mesh", labels / "one.nii.gz", "--out", tmp_path / "out", "--edge-mm", "4.5")
    few = ("--structures", "LV", "--fibres", "none")
    run(*words, *few, monkeypatch=monkeypatch)
    assert "earlier run" not in capsys.readouterr().out
    run(*words, *few, "--format", "opencarp", monkeypatch=monkeypatch)
    assert "one.vtu: of an earlier run" in capsys.readouterr().out
    run(*words, *few, "--format", "msh", monkeypatch=monkeypatch)
    assert "one.vtu, one/: of an earlier run" in capsys.readouterr().out
