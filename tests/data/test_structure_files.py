"""Folders of files named after structures, such as two tasks of TotalSegmentator write together."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.hearts import write_small_phantoms
from support.masks import LEFT, NOTHING, RIGHT, write_masks
from support.shapes import ball_in_shell

from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.reconstruction.mesh_export import write_surface
from vecsetx.reconstruction.surfaces import label_map_surfaces

CHAMBERS = {
    "heart_myocardium": "Myocardium", "heart_atrium_left": "LA", "heart_ventricle_left": "LV",
    "heart_atrium_right": "RA", "heart_ventricle_right": "RV",
}  # fmt: skip
EMPTY = ("aorta", "pulmonary_artery", "atrial_appendage_left")
FAILED = "segmentation may have failed there, so they count as not annotated"
BY_LABELS = "not in label set {} (to read them, give --labels a label set that has them)"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return read_label_map(write_small_phantoms(tmp_path_factory.mktemp("phantom"), 1)[0])


@pytest.fixture
def folder(phantom, tmp_path):
    """Two tasks' masks of a phantom: ``total`` found nothing, but saw other organs."""
    folder = tmp_path / "pat1"
    folder.mkdir()
    default = label_set("default")
    masks = {word: phantom.labels == default.id_of(name) for word, name in CHAMBERS.items()}
    nothing = np.zeros(phantom.shape, bool)
    write_masks(folder, phantom.affine, **masks, **dict.fromkeys(EMPTY, nothing))
    (folder / "statistics.json").write_text(json.dumps({"heart_myocardium": {"volume": 1}}))
    return folder


def read(folder, labels=None):
    (heart,) = find_hearts([folder], labels and label_set(labels)).values()
    return heart.segmentation(heart.label_set.structures)


def check_chambers(found, phantom):
    default = label_set("default")
    across = {}
    for label, name in enumerate(found.structures, 1):
        inside = found.label_map.labels == label
        assert inside.any() == (name in CHAMBERS.values()), name
        if name in CHAMBERS.values():
            true = phantom.labels == default.id_of(name)
            assert inside.sum() * found.label_map.voxel_volume_mm3 == pytest.approx(
                true.sum() * phantom.voxel_volume_mm3, rel=1e-6
            )
            center_mm = found.label_map.to_mm(np.argwhere(inside).mean(axis=0))
            true_mm = phantom.to_mm(np.argwhere(true).mean(axis=0))
            np.testing.assert_allclose(center_mm, true_mm, atol=1e-3)
            across[name] = center_mm[0]
    assert across["LA"] < across["RA"]  # left stays left: R is positive
    assert across["LV"] < across["RV"]


def test_a_label_map_of_all_is_not_passed_over_as_a_mask_of_the_heart(folder, phantom):
    write_masks(folder, phantom.affine, heart=phantom.labels > 0)
    said = " ".join(read(folder, "default").label_map.remarks)
    assert "Heart: left out, not in label set default" in said
    write_label_map(phantom, folder / "heart.nii.gz")
    for labels in (None, "default"):  # the one has a structure of that name, the other none
        with pytest.raises(InputError, match="give a label map of several structures as a single"):
            read(folder, labels)


def test_masks_named_as_structures_need_no_label_set(folder, phantom):
    write_masks(folder, phantom.affine, liver=phantom.labels > 99, rib_left_1=phantom.labels > 99)
    found = read(folder)
    check_chambers(found, phantom)
    assert found.label_map.remarks == (
        f"empty masks: Aorta, PA, LAA; {FAILED} (prepare and evaluate: if the heart lacks them, "
        "name them with --absent)",
        "left out 2 files (liver, rib_left_1): organs other than the heart",
    )


def test_what_a_label_set_leaves_out_is_told(folder, phantom):
    found = read(folder, "heartchambers")
    check_chambers(found, phantom)
    empty, left_out = found.label_map.remarks
    assert empty.startswith(f"empty masks: Aorta, PA; {FAILED}")
    assert left_out == f"LAA: left out, {BY_LABELS.format('heartchambers')}"
    check_chambers(read(folder, "default"), phantom)
    # A model's own label set is not the user's choice.
    (heart,) = find_hearts([folder], usual=label_set("heartchambers")).values()
    remarks = heart.segmentation(heart.label_set.structures).label_map.remarks
    assert remarks[1] == "LAA: left out, not in label set heartchambers"


def test_a_label_set_that_leaves_out_all_that_is_there(folder):
    names = "LA, LV, Myocardium, PA, RA, RV"
    with pytest.raises(InputError) as error:
        read(folder, "totalsegmentator")
    line = f"every mask is empty (Aorta, LAA); {names}: left out, "
    assert str(error.value) == f"{folder}: {line}{BY_LABELS.format('totalsegmentator')}"
    for word in ("aorta", "atrial_appendage_left"):
        (folder / f"{word}.nii.gz").unlink()
    with pytest.raises(InputError, match=rf"named after Heart, Aorta, .*; {names}: left out, not"):
        read(folder, "totalsegmentator")


def test_an_unknown_name_is_refused_and_a_known_organ_is_not(tmp_path):
    write_masks(tmp_path, LV=LEFT, RV=RIGHT, spleen=NOTHING, liver_tumour=LEFT)
    for labels in (None, "default"):
        with pytest.raises(
            InputError, match=r"unknown structure 'liver_tumour'.*Rename this file, or move it away"
        ):
            read(tmp_path, labels)
    write_masks(tmp_path, aorta=LEFT)
    remarks = read(tmp_path, "totalsegmentator").label_map.remarks
    assert remarks[1:] == (
        "left out 1 file (spleen): organs other than the heart",
        "left out 1 file (liver_tumour): no structure has these names",
    )


def test_an_empty_mask_says_nothing_unless_the_structure_is_known_to_be_absent(folder):
    (heart,) = find_hearts([folder]).values()
    seen = tuple(label_set("heartchambers").structures[:5])
    assert heart.annotated(seen) == seen
    known = replace(heart, absent=("LAA", "PV"))
    assert known.annotated(seen) == (*seen, "LAA")  # PV has no file
    (remark,) = known.segmentation(known.label_set.structures).label_map.remarks
    assert remark.startswith("empty masks: Aorta, PA; ")


def test_meshes_are_named_as_masks_are(tmp_path):
    surfaces = label_map_surfaces(ball_in_shell(4.0), ("LV", "Myocardium"))
    names = {"LV": "LV", "heart_myocardium": "Myocardium", "superior_vena_cava": "LV"}
    for word, name in names.items():
        write_surface(tmp_path / f"{word}.vtp", surfaces[name], word, 1, "lps")
    (tmp_path / "LV.vtp").rename(tmp_path / "spleen.vtp")
    found = read(tmp_path)
    there = [n for n, (_, faces) in zip(found.structures, found.closed, strict=True) if len(faces)]
    assert there == ["Myocardium", "SVC"]
    assert found.label_map.remarks == ("left out 1 file (spleen): organs other than the heart",)
    assert read(tmp_path, "default").label_map.remarks[0].startswith("SVC: left out, not in label")
