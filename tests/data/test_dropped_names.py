"""Names under ``drop``: of files, and of labels that a file itself names, become background."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.command_line import run
from support.hearts import write_small_phantoms
from support.maps import save_itk
from support.masks import LEFT, NOTHING, RIGHT, write_masks

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map

MINE = LabelSet("mine", {1: "LV", 2: "RV"}, drop_names=frozenset({"liver tumour", "stent"}))
PAIR = ("LV", "RV")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> LabelMap:
    path = write_small_phantoms(tmp_path_factory.mktemp("phantom"), 1)[0]
    return read_label_map(path).downsampled(2)


@pytest.fixture(scope="module")
def three(phantom: LabelMap) -> LabelMap:
    """LV 1, RV 2, and the aorta as 3, which a file calls otherwise."""
    return phantom.to_structures(label_set("default"), (*PAIR, "Aorta"), "")


def labels_of(path: Path, chosen: LabelSet) -> np.ndarray:
    (source,) = find_hearts([path], chosen).values()
    return source.segmentation(PAIR).label_map.labels


def test_masks_that_are_named_under_drop_are_left_out(tmp_path: Path) -> None:
    write_masks(tmp_path, LV=LEFT, RV=RIGHT, Liver_Tumour=LEFT, stent=RIGHT, spleen=NOTHING)
    (source,) = find_hearts([tmp_path], MINE).values()
    found = source.segmentation(PAIR).label_map
    assert found.labels.tolist() == (LEFT + 2 * RIGHT).tolist()
    assert found.remarks == (
        "left out 2 files (Liver_Tumour, stent): dropped by label set mine",
        "left out 1 file (spleen): organs other than the heart",
    )
    with pytest.raises(InputError, match=r"Liver_Tumour, stent; .*name them under 'drop' in --lab"):
        labels_of(tmp_path, label_set("default"))


def test_labels_that_a_file_names_are_dropped_by_their_names(
    three: LabelMap, tmp_path: Path
) -> None:
    path = tmp_path / "a.nii.gz"
    write_label_map(three, path)
    table = path.with_name("a.tsv")
    table.write_text("index\tname\n1\tLV\n2\tRV\n3\tStent\n")
    assert labels_of(path, MINE).tolist() == np.where(three.labels == 3, 0, three.labels).tolist()
    with pytest.raises(InputError, match=r"ids \[3\] are not in label set mine"):
        labels_of(path, replace(MINE, drop_names=frozenset({"liver tumour"})))
    table.write_text("index\tname\n1\tStent\n2\tRV\n3\tLV\n")
    with pytest.raises(InputError, match="call id 1 'Stent', a name under 'drop' in label set"):
        labels_of(path, MINE)


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "LV": 1, "RV": [2], "stent": 3, "whole": [1, 2, 3]},
        {"0": "background", "1": "LV", "2": "RV", "3": "Stent"},
    ],
)
def test_labels_that_an_nnunet_data_set_names_are_dropped_by_their_names(
    labels: dict, three: LabelMap, tmp_path: Path
) -> None:
    folder = tmp_path / "Dataset001"
    write_label_map(three, folder / "labelsTr" / "a.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    (source,) = find_hearts([folder], MINE).values()
    assert source.label_set == replace(MINE, drop=frozenset({3}))
    assert labels_of(folder, MINE).tolist() == np.where(three.labels == 3, 0, three.labels).tolist()


def test_segments_of_slicer_are_dropped_by_their_names(three: LabelMap, tmp_path: Path) -> None:
    path = save_itk(tmp_path / "a.nrrd", three.labels, three.affine)
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    fields = [
        f"Segment{n}_{key}:={value}"
        for n, name in enumerate(("LV", "RV", "STENT"))
        for key, value in (("Name", name), ("LabelValue", n + 1), ("Layer", 0))
    ]
    named = tmp_path / "b.seg.nrrd"
    named.write_bytes(b"\n".join([head, *(field.encode() for field in fields)]) + b"\n\n" + voxels)
    assert labels_of(named, MINE).tolist() == np.where(three.labels == 3, 0, three.labels).tolist()


def total_masks(phantom: LabelMap) -> dict[str, np.ndarray]:
    """The masks of TotalSegmentator's task ``total``: the heart's and 111 organs' (all empty)."""
    listed = resources.files("vecsetx.anatomy").joinpath("other_organs.yaml").read_text("utf-8")
    organs = yaml.safe_load(listed)
    organs = organs[: organs.index("costal_cartilages") + 1]
    ids = {name: label_set("default").id_of(name) for name in ("Aorta", "PV", "LAA")}
    nothing = np.zeros(phantom.shape, bool)
    return {
        **dict.fromkeys(organs, nothing),
        **dict.fromkeys(("superior_vena_cava", "inferior_vena_cava"), nothing),
        "heart": phantom.labels > 0,
        "aorta": phantom.labels == ids["Aorta"],
        "pulmonary_vein": phantom.labels == ids["PV"],
        "atrial_appendage_left": phantom.labels == ids["LAA"],
    }


@pytest.mark.parametrize("labels", [(), ("--labels", "totalsegmentator")])
def test_the_117_masks_of_totalsegmentator_are_prepared_with_one_remark_on_what_is_left_out(
    labels: tuple[str, ...],
    phantom: LabelMap,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "p1" / "segmentations"
    folder.mkdir(parents=True)
    write_masks(folder, phantom.affine, **total_masks(phantom))
    assert len(list(folder.iterdir())) == 117
    words = ("prepare", tmp_path / "p1", "--out", tmp_path / "data", "--points", 300)
    assert run(*words, "--workers", 1, *labels, monkeypatch=monkeypatch) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "organs" in line]
    assert lines == [
        "p1: left out 111 files (adrenal_gland_left, adrenal_gland_right, autochthon_left, …): "
        "organs other than the heart"
    ]
    (heart,) = DataSet.read(tmp_path / "data").hearts
    assert set(heart.annotated) == {"Heart", "Aorta", "PV", "LAA"}
