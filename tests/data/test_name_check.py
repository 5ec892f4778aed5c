"""Hearts whose names anatomy contradicts stop with the names that fit, unless they are trusted."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from support.command_line import run
from support.hearts import write_small_phantoms
from support.here import work_here

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.plausibility import STRUCTURES
from vecsetx.commands import prepare as preparing
from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.sampling.quality.findings import asks_for_a_look

DEFAULT = label_set("default")


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> LabelMap:
    (path,) = write_small_phantoms(tmp_path_factory.mktemp("hearts"), 1)
    return read_label_map(path)


def test_masks_without_orientation_are_mirrored_where_anatomy_shows_it(
    heart: LabelMap, tmp_path: Path
) -> None:
    """As for label maps; R and L of masks with an orientation are not exchanged."""
    mirrored = np.diag([-1.0, 1, 1, 1]) @ heart.affine  # the phantom's voxels run to the right
    for affine, folder in ((None, tmp_path / "unsaid"), (mirrored, tmp_path / "said")):
        folder.mkdir()
        for number, name in DEFAULT.ids.items():
            if name in STRUCTURES:
                mask = nib.Nifti1Image((heart.labels == number).astype(np.uint8), affine)
                mask.header.set_zooms(heart.spacing_mm.tolist())
                nib.save(mask, folder / f"{name}.nii.gz")
    (source,) = find_hearts([tmp_path / "unsaid"]).values()
    found = source.segmentation(STRUCTURES).label_map
    assert any("R and L were exchanged" in remark for remark in found.remarks)
    x = {
        name: found.to_mm(np.argwhere(found.labels == k)).mean(axis=0)[0]
        for k, name in enumerate(STRUCTURES, 1)
    }
    assert x["LV"] < x["RV"]  # RAS: left is negative
    (source,) = find_hearts([tmp_path / "said"]).values()
    with pytest.raises(InputError, match="mend the file's axes"):
        source.segmentation(STRUCTURES)


def with_ids(heart: LabelMap, ids: dict[int, int]) -> LabelMap:
    """The labels of ``ids`` with other ids, and nothing else."""
    table = np.zeros(12, np.uint8)
    table[list(ids)] = list(ids.values())
    return replace(heart, labels=table[heart.labels])


def read(path: Path, labels: str, trust_names: bool = False) -> LabelMap:
    (source,) = find_hearts([path], label_set(labels), trust_names=trust_names).values()
    return source.segmentation(label_set(labels).structures).label_map


def refused(path: Path, labels: str) -> str:
    with pytest.raises(InputError) as refusal:
        read(path, labels)
    assert str(refusal.value).startswith(str(path))
    assert "--trust-names" in str(refusal.value)
    return str(refusal.value)


def test_acdc_read_as_mnms(heart: LabelMap, tmp_path: Path) -> None:
    stack = with_ids(heart, {5: 1, 1: 2, 3: 3}).downsampled(1)
    path = tmp_path / "p1.nii.gz"
    write_label_map(replace(stack, labels=stack.labels[:, :, ::4]), path)
    message = refused(path, "mnms")
    assert "names from label set mnms: the Myocardium encloses the RV, and not the LV" in message
    assert "1 RV, 2 Myocardium, 3 LV: use --labels acdc" in message
    assert not read(path, "acdc").remarks
    (remark,) = read(path, "mnms", trust_names=True).remarks
    assert "trusted" in remark
    assert "encloses" in remark


def test_ids_moved_by_one(heart: LabelMap, tmp_path: Path) -> None:
    path = tmp_path / "p1.nii.gz"
    seven = heart.without([8, 9, 10])
    write_label_map(replace(seven, labels=seven.labels + 1), path)
    message = refused(path, "default")
    yaml = "{ids: {2: Myocardium, 3: LA, 4: LV, 5: RA, 6: RV, 7: Aorta, 8: PA}, drop: [1]}"
    assert yaml in message
    file = tmp_path / "mended.yaml"
    file.write_text(yaml.removeprefix("{").removesuffix("}").replace(", drop", "\ndrop"))
    assert not read(path, str(file)).remarks


def test_only_some_structures_are_wanted(heart: LabelMap, tmp_path: Path) -> None:
    """The file is judged by all that it holds."""
    path = tmp_path / "p1.nii.gz"
    write_label_map(with_ids(heart, {1: 1, 2: 4, 3: 3, 4: 2, 5: 5, 6: 6, 7: 7}), path)
    (source,) = find_hearts([path], DEFAULT).values()
    with pytest.raises(InputError, match="touches"):
        source.segmentation(("LA",))


def test_a_mirrored_heart(heart: LabelMap, tmp_path: Path) -> None:
    path = tmp_path / "p1.nii.gz"
    write_label_map(replace(heart, labels=heart.labels[::-1]), path)
    message = refused(path, "default")
    assert "left and right are exchanged; mend the file's axes" in message
    assert "situs inversus" in message
    assert read(path, "default", trust_names=True).remarks


def liver(shape: tuple[float, float, float]) -> LabelMap:
    """An ellipsoid under the id of the LV, with these half axes, mm."""
    at = np.stack(np.meshgrid(*[np.arange(-20, 21) * 5.0] * 3, indexing="ij"), axis=-1)
    labels = np.uint8(DEFAULT.id_of("LV")) * (np.sum((at / shape) ** 2, axis=-1) < 1)
    return LabelMap(labels.astype(np.uint8), np.diag([5.0, 5.0, 5.0, 1.0]))


def test_a_structure_larger_than_that_of_any_heart(tmp_path: Path) -> None:
    path = tmp_path / "liver.nii.gz"
    write_label_map(liver((95, 75, 55)), path)  # 1642 ml
    said = refused(path, "default")
    assert "the LV holds 16" in said
    large = "no heart's LV more than 800 ml; is this another organ, such as a liver? "
    assert f"ml, and {large}Name the label set that is meant" in said
    assert "situs" not in said  # which makes no ventricle this large
    trusted = read(path, "default", trust_names=True)
    assert any("no heart's LV more than 800 ml" in remark for remark in trusted.remarks)
    (tmp_path / "masks").mkdir()
    write_label_map(liver((95, 75, 55)), tmp_path / "masks" / "LV.nii.gz")
    beside = liver((20, 20, 20))
    shifted = replace(beside, labels=np.roll(beside.labels, 20, axis=2))  # to both ends
    write_label_map(shifted, tmp_path / "masks" / "LA.nii.gz")
    (source,) = find_hearts([tmp_path / "masks"]).values()
    with pytest.raises(InputError, match=re.escape(f"{large}Move its file away")):
        source.segmentation(STRUCTURES)
    write_label_map(liver((65, 55, 50)), path)  # 749 ml: the largest ventricles are as large
    assert read(path, "default").labels.any()


def test_an_lv_beside_the_myocardium_asks_for_a_look(heart: LabelMap, tmp_path: Path) -> None:
    """As a liver that is called LV."""
    lv = DEFAULT.id_of("LV")
    away = np.where(heart.labels == lv, 0, heart.labels)
    away = np.pad(away, ((0, 40), (0, 0), (0, 0)))
    away[-38:-2, 8:30, 8:30] = lv
    for labels, alarms in ((heart.labels, 0), (away, 1)):
        moved = replace(heart, labels=labels)
        write_label_map(moved, tmp_path / "a.nii.gz")
        (folder := tmp_path / f"masks{alarms}").mkdir()
        for name in ("LV", "Myocardium", "RV"):
            mask = replace(heart, labels=(labels == DEFAULT.id_of(name)).astype(np.uint8))
            write_label_map(mask, folder / f"{name}.nii.gz")
        for given in (tmp_path / "a.nii.gz", folder):
            (source,) = find_hearts([given], DEFAULT).values()
            remarks = source.segmentation(DEFAULT.structures).label_map.remarks
            found = [remark for remark in remarks if "of the LV's surface faces" in remark]
            assert len(found) == alarms
            assert all(map(asks_for_a_look, found))


def test_transposed_great_arteries(heart: LabelMap, tmp_path: Path) -> None:
    """The aorta leaves the RV, and the PA the LV."""
    path = tmp_path / "p1.nii.gz"
    write_label_map(with_ids(heart, {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 7, 7: 6}), path)
    assert "the LV touches the PA" in refused(path, "default")
    found = read(path, "default", trust_names=True)
    assert np.array_equal(found.labels, read_label_map(path).labels)  # nothing is renamed


def test_masks_and_meshes_named_wrongly(heart: LabelMap, tmp_path: Path) -> None:
    masks, meshes = tmp_path / "masks", tmp_path / "meshes"
    masks.mkdir()
    for k, name in enumerate(STRUCTURES, start=1):
        write_label_map(with_ids(heart, {k: 1}), masks / f"{name}.nii.gz")
    main = heart.without([8, 9, 10])
    meshes.mkdir()
    for name, (vertices, faces) in zip(
        STRUCTURES, Geometry.of_label_map(main, 7).closed, strict=True
    ):
        trimesh.Trimesh(vertices * [-1, -1, 1], faces).export(meshes / f"{name}.stl")  # LPS
    for folder, ending in ((masks, "nii.gz"), (meshes, "stl")):
        assert not any("names" in remark for remark in read(folder, "heartchambers").remarks)
        shutil.move(folder / f"LA.{ending}", folder / "old")
        shutil.move(folder / f"RA.{ending}", folder / f"LA.{ending}")
        shutil.move(folder / "old", folder / f"RA.{ending}")
        message = refused(folder, "heartchambers")
        assert "rename LA to RA, RA to LA" in message


def test_prepare_stops_unless_the_names_are_trusted(
    heart: LabelMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    work_here(monkeypatch, preparing)
    path, data = tmp_path / "p1.nii.gz", tmp_path / "data"
    write_label_map(replace(heart, labels=heart.labels[::-1]), path)
    words = "prepare", path, "--out", data, "--points", 500
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert "left and right are exchanged" in " ".join(capsys.readouterr().err.split())
    assert not list(data.rglob("*.safetensors"))
    assert not (data / "dataset.json").exists()
    assert run(*words, "--trust-names", monkeypatch=monkeypatch) == 0
    dataset = DataSet.read(data)
    (entry,) = dataset.hearts
    assert any("trusted" in remark for remark in dataset.open(entry).info.remarks)
    # What is prepared stays readable.
    assert source_of(dataset, entry).segmentation(dataset.structures)
