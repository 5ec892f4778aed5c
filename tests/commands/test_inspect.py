"""``vecsetx inspect``: what files hold, as it would be read."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from support.command_line import run
from support.hearts import write_small_phantoms
from support.meshes import bent_ball

from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.commands.inspect import inspect
from vecsetx.formats.label_maps import read_label_map, write_label_map


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_phantoms(tmp_path_factory.mktemp("maps"), 1)[0]


def test_a_label_map_as_it_would_be_read(phantom: Path) -> None:
    (entry,) = inspect([phantom])
    label_map = read_label_map(phantom)
    assert entry["file"] == str(phantom)
    assert entry["status"] == "ok"
    assert entry["axes"] == "".join(nib.aff2axcodes(label_map.affine))
    assert entry["spacing_mm"] == pytest.approx([2.4] * 3)
    assert entry["shape"] == list(label_map.shape)
    header = nib.load(phantom).header
    assert entry["form_codes"] == (header["sform_code"], header["qform_code"])
    assert entry["structures"].keys() == set(STRUCTURES)
    for number, name in label_set("default").ids.items():
        found, voxels = entry["structures"][name], label_map.labels == number
        assert found["id"] == number
        ml = voxels.sum() * label_map.voxel_volume_mm3 / 1000
        if name != "Coronary":  # most of which is specks at this spacing
            assert found["ml"] == pytest.approx(ml, rel=0.1, abs=1), name  # the surface is smooth
        edge = voxels.copy()
        edge[1:-1, 1:-1, 1:-1] = False
        assert found["cut"] == edge.any()


def test_the_json_is_written_whatever_the_status(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    good = Path(shutil.copy(phantom, folder / "a [good].nii.gz"))
    unknown = read_label_map(phantom).labels.astype(np.uint16)
    unknown[unknown == 3] = 77
    write_label_map(read_label_map(phantom), tmp_path / "b.nii.gz")
    nib.save(nib.Nifti1Image(unknown, read_label_map(phantom).affine), folder / "bad.nii.gz")
    nib.save(nib.Nifti1Image(read_label_map(phantom).labels, None), folder / "no form.nii.gz")
    missing = tmp_path / "none.nii.gz"
    assert run("inspect", folder, missing, "--json", monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr()
    hearts = json.loads(printed.out)["result"]["hearts"]
    entries = {Path(entry["file"]).name: entry for entry in hearts}
    assert {name: entry["status"] for name, entry in entries.items()} == {
        good.name: "ok",
        "bad.nii.gz": "refused",
        "no form.nii.gz": "look",
        missing.name: "refused",
    }
    assert "ids [77] are not in label set default" in entries["bad.nii.gz"]["remarks"][0]
    assert entries["bad.nii.gz"]["structures"] == {}
    assert "no orientation" in entries["no form.nii.gz"]["remarks"][0]
    assert "no such file" in entries[missing.name]["remarks"][0]
    said = printed.err
    assert "a [good].nii.gz" in said
    assert "4 hearts: 1 ok, 1 look, 2 refused" in said


def test_names_of_the_file_and_a_label_set_of_the_user(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    path = tmp_path / "labels.nii.gz"
    write_label_map(read_label_map(phantom), path, STRUCTURES, label_set("default"))
    assert run("inspect", path, monkeypatch=monkeypatch) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "The file says" in said
    assert "label map, the file's own names, as label set names-" in said
    (entry,) = inspect([path])
    assert entry["named"]["3"] == "LV"
    (entry,) = inspect([path], label_set("default16"))
    assert (entry["label_set"], entry["status"]) == ("default16", "ok")
    assert entry["named"]["3"] == "LV"


def test_ids_that_leave_no_choice_are_no_warning(phantom: Path, tmp_path: Path) -> None:
    structures = tuple(n for n in STRUCTURES if n in label_set("mmwhs").structures)
    found = read_label_map(phantom).to_structures(label_set("default"), structures, "")
    for path, ids in ((tmp_path / "a.nii.gz", "mmwhs"), (tmp_path / "b.nii.gz", "acdc")):
        written = tuple(name for name in structures if name in label_set(ids).structures)
        others = [k for k, name in enumerate(structures, 1) if name not in written]
        lookup = np.zeros(8, np.uint16)
        for k, name in enumerate(structures, 1):
            lookup[k] = 0 if k in others else label_set(ids).id_of(name)
        nib.save(nib.Nifti1Image(lookup[found.labels], found.affine), path)
    unique, by_anatomy = inspect([tmp_path])
    assert (unique["label_set"], unique["status"]) == ("mmwhs", "ok")
    assert unique["remarks"] == ["its ids fit label set mmwhs, which was used"]
    assert (by_anatomy["label_set"], by_anatomy["status"]) == ("acdc", "look")


def test_slices_that_are_three_times_too_thick_ask_for_a_look(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    whole = read_label_map(phantom)
    labels = np.pad(whole.labels, 2)  # else a scan that ends may be the reason
    nib.save(nib.Nifti1Image(labels, whole.affine @ np.diag([1, 1, 3, 1])), tmp_path / "a.nii.gz")
    (entry,) = inspect([tmp_path / "a.nii.gz"])
    assert entry["status"] == "look"
    (remark,) = [remark for remark in entry["remarks"] if "check the spacing" in remark]
    assert remark.startswith("the heart is stretched along the third axis")
    assert "check the spacing of 2.4 × 2.4 × 7.2 mm" in remark
    assert run("inspect", tmp_path / "a.nii.gz", monkeypatch=monkeypatch) == 0
    *_, first, then = capsys.readouterr().out.splitlines()
    assert first == "look at the remarks above first"
    assert then.startswith("next: vecsetx reconstruct ")
    assert run("inspect", phantom, monkeypatch=monkeypatch) == 0
    assert first not in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_number_is_cut(
    width: int, phantom: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run("inspect", phantom, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    (entry,) = inspect([phantom])
    assert "…" not in said
    assert all(f"{found['ml']:.1f}" in said for found in entry["structures"].values())


def test_other_organs_beside_the_heart_are_no_warning(phantom: Path, tmp_path: Path) -> None:
    whole = read_label_map(phantom)
    folder = tmp_path / "patient"
    folder.mkdir()
    for name, number in (("LV", 3), ("RV", 5), ("liver", 99)):
        mask = (whole.labels == number).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, whole.affine), folder / f"{name}.nii.gz")
    (entry,) = inspect([folder])
    assert entry["remarks"] == ["left out 1 file (liver): organs other than the heart"]
    assert entry["status"] == "ok"


def test_two_hearts_of_one_name_are_told(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Prepare refuses them together."""
    (tmp_path / "other").mkdir()
    copy = Path(shutil.copy(phantom, tmp_path / "other"))
    entries = inspect([phantom, copy])
    assert [entry["status"] for entry in entries] == ["look", "look"]
    assert any(str(copy) in remark for remark in entries[0]["remarks"])
    assert any(str(phantom) in remark for remark in entries[1]["remarks"])
    assert inspect([phantom, phantom])[0]["status"] == "ok"  # the same file twice
    assert run("inspect", phantom, copy, monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().out
    assert "2 hearts share their names, so prepare refuses them together: rename them" in said
    assert "next:" not in said


def test_it_ends_with_what_to_type_next_unless_a_file_is_refused(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    folder = tmp_path / "my hearts"
    folder.mkdir()
    shutil.copy(phantom, folder)
    assert run("inspect", folder, "--labels", "default", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert f"next: vecsetx reconstruct '{folder}' --labels default --out patient/" in said
    shutil.copy(phantom, folder / "b.nii.gz")  # two make a data set
    assert run("inspect", folder, "--labels", "default", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert f"next: vecsetx prepare '{folder}' --labels default --out data/" in said
    own = ("--max-voxels", "200000", "--trust-names")
    assert run("inspect", folder, *own, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    assert f"next: vecsetx prepare '{folder}' {' '.join(own)} --out data/" in said
    (meshes := tmp_path / "meshes").mkdir()
    vertices_mm, faces = bent_ball()
    trimesh.Trimesh(vertices_mm / 10, faces).export(meshes / "LV.stl")
    axes = ("--space", "ras", "--units", "cm")
    assert run("inspect", meshes, *axes, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    typed = f"next: vecsetx reconstruct {meshes} --input-space ras --units cm --out patient/"
    assert typed in said
    points = tmp_path / "points.csv"
    rows = ["x,y,z,structure", *(f"{x},{y},{z},LV" for x, y, z in vertices_mm[:50] / 10)]
    points.write_text("\n".join(rows))
    assert run("inspect", points, *axes, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    (entry,) = inspect([points], space="ras", units="cm")
    assert entry["structures"]["LV"]["points"] == 50
    size = " × ".join(f"{mm:.0f}" for mm in np.ptp(vertices_mm[:50], axis=0))
    assert f"points, label set default, {size} mm" in said
    assert [line.split() for line in said.splitlines() if line.startswith("LV")] == [["LV", "50"]]
    typed = f"next: vecsetx reconstruct {points} --input-space ras --units cm --out patient/"
    assert typed in said
    monkeypatch.chdir(tmp_path)
    (tmp_path / "patient").mkdir()  # nothing that exists is proposed
    assert run("inspect", points, *axes, monkeypatch=monkeypatch) == 0
    here = typed.replace("patient/", "patient-2/").replace(str(points), points.name)
    assert here in capsys.readouterr().out
    assert run("inspect", tmp_path / "wrong", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr()
    assert "next:" not in said.out
    assert "inspecting hearts" not in said.out + said.err  # a wrong path is no heart
