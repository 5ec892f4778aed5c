"""Files that name their labels: the names decide, whatever the ids are."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from support.hearts import write_small_phantoms
from support.maps import LPS

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.structures import structure
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import HeartSource
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.view import cut_structures
from vecsetx.reconstruction.label_tables import write_color_table, write_label_descriptions
from vecsetx.sampling.sampler import SamplingSpec

SEVEN = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA")
OTHER_IDS = {"LA": 1, "LV": 2, "Myocardium": 3, "RV": 4, "RA": 5, "PA": 6, "Aorta": 7}
"""Each is an id of the default set, for another structure."""


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> LabelMap:
    """A phantom of seven structures, with labels 1…7 in the order of ``SEVEN``."""
    (path,) = write_small_phantoms(tmp_path_factory.mktemp("heart"), 1)
    return read_label_map(path).to_structures(label_set("default"), SEVEN, "")


@pytest.fixture(scope="module")
def other(heart: LabelMap) -> LabelMap:
    """The same heart under ``OTHER_IDS``."""
    lookup = np.array([0, *(OTHER_IDS[name] for name in SEVEN)], np.uint8)
    return replace(heart, labels=lookup[heart.labels])


def assert_same_heart(source: HeartSource, heart: LabelMap) -> None:
    """Every structure has its volume and its place; left stays left."""
    found = source.segmentation(SEVEN).label_map
    assert found.voxel_volume_mm3 == pytest.approx(heart.voxel_volume_mm3)
    for k, name in enumerate(SEVEN, 1):
        indices, truth = np.argwhere(found.labels == k), np.argwhere(heart.labels == k)
        assert len(indices) == pytest.approx(len(truth), rel=0.02), name
        moved = found.to_mm(indices.mean(axis=0)) - heart.to_mm(truth.mean(axis=0))
        assert np.linalg.norm(moved) < 0.5, name


def source_of(path: Path, **options: object) -> HeartSource:
    (source,) = find_hearts([path], **options).values()
    return source


def write_segmentation(
    path: Path,
    label_map: LabelMap,
    segments: list[tuple[str, int, int]],
    layers: np.ndarray | None = None,
    without: tuple[str, ...] = (),
) -> Path:
    """Write a 3D Slicer segmentation, as SimpleITK does; a segment is (name, layer, value)."""
    values = label_map.labels.transpose() if layers is None else layers.transpose(3, 2, 1, 0)
    image = sitk.GetImageFromArray(
        values if layers is None else layers.transpose(2, 1, 0, 3), isVector=layers is not None
    )
    moved = LPS @ label_map.affine
    spacing = np.linalg.norm(moved[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((moved[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(moved[:3, 3].tolist())
    for number, (name, layer, value) in enumerate(segments):
        fields = {"ID": f"Segment_{number}", "Name": name, "LabelValue": value, "Layer": layer}
        for key, content in fields.items():
            if key not in without:
                image.SetMetaData(f"Segment{number}_{key}", str(content))
    sitk.WriteImage(image, str(path), True)
    return path


# --- 3D Slicer ----------------------------------------------------------------------------------


def test_the_names_of_a_slicer_segmentation_win(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    words = {"LA": "left atrium", "Myocardium": "Left ventricular myocardium"}
    segments = [(words.get(name, name), 0, value) for name, value in OTHER_IDS.items()]
    source = source_of(write_segmentation(tmp_path / "a.seg.nrrd", other, segments))
    assert_same_heart(source, heart)
    assert set(source.resolved().label_set.ids.items()) == {(v, k) for k, v in OTHER_IDS.items()}


def test_names_that_are_no_structures_are_listed_with_the_yaml_to_write(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    words = {"LA": "Tumor", "PA": "Stent"}
    segments = [(words.get(name, name), 0, value) for name, value in OTHER_IDS.items()]
    path = write_segmentation(tmp_path / "a.seg.nrrd", other, segments)
    with pytest.raises(InputError, match=r"1 'Tumor', 6 'Stent'") as raised:
        source_of(path).segmentation(SEVEN)
    line = str(raised.value).split("write the line ")[1].split(", after moving")[0]
    described = tmp_path / "labels.yaml"
    described.write_text(line)
    found = label_set(str(described))
    assert found.drop == {1, 6}
    assert found.ids == {v: k for k, v in OTHER_IDS.items() if v not in (1, 6)}
    source_of(path, label_set=found).segmentation(SEVEN)


def test_the_yaml_to_write_guesses_no_structure_but_a_misspelt_one(
    other: LabelMap, tmp_path: Path
) -> None:
    words = {"LA": "Left Atruim", "PA": "Stent"}
    segments = [(words.get(name, name), 0, value) for name, value in OTHER_IDS.items()]
    path = write_segmentation(tmp_path / "a.seg.nrrd", other, segments)
    with pytest.raises(InputError, match=r"\(perhaps 1 LA") as raised:
        source_of(path).segmentation(SEVEN)
    assert "{ids: {1: LA, 2: LV," in str(raised.value)
    assert "drop: [6]}" in str(raised.value)
    path = write_segmentation(
        tmp_path / "b.seg.nrrd", other, [(f"Segment_{k}", 0, k) for k in range(1, 8)]
    )
    with pytest.raises(InputError) as raised:
        source_of(path).segmentation(SEVEN)
    line = str(raised.value).split("write the line ")[1].split(", after moving")[0]
    assert line == "{ids: {1: STRUCTURE}, drop: [2, 3, 4, 5, 6, 7]}"
    described = tmp_path / "labels.yaml"
    described.write_text(line)  # copied as it is, it is no label set
    with pytest.raises(InputError, match="unknown structure 'STRUCTURE'"):
        label_set(str(described))


def test_a_cropped_segmentation_does_not_show_where_the_scan_ends(
    other: LabelMap, tmp_path: Path
) -> None:
    """Round ends are whole, and flat ones cut; with room around, nothing is in doubt."""
    segments = [(name, 0, value) for name, value in OTHER_IDS.items()]
    k = other.bounding_box()[2]
    halved = replace(other, labels=other.labels[:, :, : (k.start + 2 * k.stop) // 3])
    for label_map, remarked in ((other, 0), (other.cropped(), 1), (halved.cropped(), 1)):
        path = write_segmentation(tmp_path / "a.seg.nrrd", label_map, segments)
        heart = source_of(path).segmentation(SEVEN)
        remarks = [r for r in heart.label_map.remarks if "do not show" in r or "does not show" in r]
        assert len(remarks) == remarked
        whole = label_map.labels.shape[2] != halved.cropped().labels.shape[2]
        expected = np.zeros(7, bool) if whole else cut_structures(_in_order(halved), 7)
        np.testing.assert_array_equal(cut_structures(heart.label_map, 7), expected)
        for number, value in enumerate(OTHER_IDS[name] for name in SEVEN):
            truth = label_map.to_mm(np.argwhere(label_map.labels == value))
            found = heart.label_map.to_mm(np.argwhere(heart.label_map.labels == number + 1))
            np.testing.assert_allclose(found.mean(axis=0), truth.mean(axis=0), atol=1e-3)
    assert expected.any()
    assert not expected.all()


def _in_order(other: LabelMap) -> LabelMap:
    """Labels 1…7 in the order of ``SEVEN``."""
    lookup = np.zeros(8, np.uint8)
    for label, name in enumerate(SEVEN, 1):
        lookup[OTHER_IDS[name]] = label
    return replace(other, labels=lookup[other.labels])


def test_a_label_set_that_contradicts_the_names_is_used_with_a_remark(
    other: LabelMap, tmp_path: Path
) -> None:
    segments = [(name, 0, value) for name, value in OTHER_IDS.items()]
    path = write_segmentation(tmp_path / "a.seg.nrrd", other, segments)
    default = label_set("default")
    with pytest.raises(InputError, match="1 LA, 2 LV, 3 Myocardium"):  # anatomy knows better
        source_of(path, label_set=default).segmentation(SEVEN)
    found = source_of(path, label_set=default, trust_names=True).segmentation(SEVEN).label_map
    (remark,) = (r for r in found.remarks if "label set default" in r)
    assert "1 LA, 2 LV, 3 Myocardium" in remark
    assert "1 Myocardium, 2 LA, 3 LV" in remark
    # The hint of an error proposes no label set that the names contradict.
    with pytest.raises(InputError, match="leave --labels out"):
        source_of(path, label_set=label_set("acdc")).segmentation(SEVEN)


@pytest.mark.parametrize("old", [False, True], ids=["label values", "a layer each, as before 2020"])
def test_overlapping_segments_lie_in_layers(old: bool, heart: LabelMap, tmp_path: Path) -> None:
    names = (*SEVEN, "Heart")
    layers = np.stack([heart.labels == k for k in range(1, 8)] + [heart.labels > 0], -1)
    layers = layers.astype(np.uint8)
    shared = np.argwhere(layers[..., 5])[:3]
    layers[(*shared.T, 2)] = 1  # three voxels of the aorta are the left ventricle's, too
    without = ("LabelValue", "Layer") if old else ()
    segments = [(name, layer, 1) for layer, name in enumerate(names)]
    path = write_segmentation(tmp_path / "a.seg.nrrd", heart, segments, layers, without)
    source = source_of(path)
    assert_same_heart(source, heart)
    remarks = source.segmentation(SEVEN).label_map.remarks
    assert [r for r in remarks if "share" in r] == [
        "Aorta and LV share 3 voxels; they were given to Aorta"
    ]


def test_other_organs_take_no_voxel_from_a_structure(heart: LabelMap, tmp_path: Path) -> None:
    """Nor may a layer have values that no segment describes."""
    layers = np.stack([heart.labels, np.zeros_like(heart.labels)], -1)
    # Part of the left ventricle is called liver, too, which is smaller.
    layers[(*np.argwhere(heart.labels == 3)[:500].T, 1)] = 1
    segments = [(name, 0, k) for k, name in enumerate(SEVEN, 1)]
    path = tmp_path / "a.seg.nrrd"
    write_segmentation(path, heart, [*segments, ("liver", 1, 1)], layers)
    assert_same_heart(source_of(path), heart)
    write_segmentation(path, heart, segments, layers)
    with pytest.raises(InputError, match=r"its layer 1 has values \[1\], which no segment"):
        source_of(path).resolved()


def test_slicerio_reads_what_we_read_and_we_read_what_it_writes(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    segments = [(name, 0, value) for name, value in OTHER_IDS.items()]
    path = write_segmentation(tmp_path / "a.seg.nrrd", other, segments)
    read = slicerio.read_segmentation(str(path))
    named = {segment["labelValue"]: segment["name"] for segment in read["segments"]}
    assert named == source_of(path).resolved().label_set.ids
    slicerio.write_segmentation(str(tmp_path / "b.seg.nrrd"), read)
    assert_same_heart(source_of(tmp_path / "b.seg.nrrd"), heart)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (lambda s: [*s[:-1], ("Aorta", 0, "")], "no Segment6_LabelValue"),
        (lambda s: [*s[:-1], ("Aorta", 0, "seven")], "label value 'seven'"),
        (lambda s: [*s[:-1], ("LA", 0, 7)], "call both 1 and 7 'LA'"),
        (lambda s: [*s[:-1], ("Aorta", 3, 7)], "lies in layer 3, and the file has 1"),
        (lambda s: s[:-1], "have no name for 7, which the file holds"),
    ],
)
def test_broken_segmentations(changed, expected, other: LabelMap, tmp_path: Path) -> None:
    segments = [(name, 0, value) for name, value in OTHER_IDS.items()]
    path = write_segmentation(tmp_path / "a.seg.nrrd", other, changed(segments))
    with pytest.raises(InputError, match=expected) as raised:
        source_of(path).segmentation(SEVEN)
    assert str(raised.value).startswith(f"{path}: ")


# --- tables in and beside NIfTI -----------------------------------------------------------------


def caret(pairs: list[tuple[object, str]], before: str = "") -> bytes:
    """A header extension as TotalSegmentator writes it."""
    labels = "".join(
        f'<Label Key="{key}" Red="0.1" Green="0.2" Blue="0.3" Alpha="1"><![CDATA[{name}]]></Label>'
        for key, name in pairs
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<CaretExtension>'
        f'<VolumeInformation Index="0"><LabelTable>{labels}</LabelTable>'
        "<VolumeType><![CDATA[Label]]></VolumeType></VolumeInformation></CaretExtension>"
    ).encode()


def write_with_extension(path: Path, label_map: LabelMap, content: bytes) -> Path:
    image = nib.Nifti1Image(label_map.labels, label_map.affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, content))
    nib.save(image, path)
    return path


def test_the_label_table_of_a_nifti_header(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    words = {"LA": "heart_atrium_left", "Myocardium": "heart_myocardium", "Aorta": "aorta"}
    pairs = [(value, words.get(name, name)) for name, value in OTHER_IDS.items()]
    path = write_with_extension(tmp_path / "a.nii.gz", other, caret(pairs))
    assert_same_heart(source_of(path), heart)


def test_other_organs_in_a_label_table_are_left_out(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    labels = other.labels.copy()
    labels[:3, :3, :3] = 20
    pairs = [*((value, name) for name, value in OTHER_IDS.items()), (20, "liver"), (21, "spleen")]
    path = write_with_extension(tmp_path / "a.nii.gz", replace(other, labels=labels), caret(pairs))
    assert_same_heart(source_of(path), heart)
    assert source_of(path).resolved().label_set.drop == {20, 21}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (caret([("one", "LV")]), "key 'one'"),
        (caret([(1, "LV")])[:-9], "cannot be read"),
        (caret([(1, "LV")], '<!DOCTYPE x [<!ENTITY a "aaaa">]>'), "has a document type"),
    ],
)
def test_broken_label_tables(content, expected, other: LabelMap, tmp_path: Path) -> None:
    path = write_with_extension(tmp_path / "a.nii.gz", other, content)
    with pytest.raises(InputError, match=expected):
        source_of(path).segmentation(SEVEN)


def own_tables(path: Path) -> None:
    inverse = replace(label_set("default"), ids={v: k for k, v in OTHER_IDS.items()})
    write = write_color_table if path.suffix == ".ctbl" else write_label_descriptions
    write(path, SEVEN, inverse)


def bids(path: Path) -> None:
    rows = [f"{value}\t{structure(name).title}\t#fff" for name, value in OTHER_IDS.items()]
    path.write_text("\n".join(["index\tname\tcolor", *rows]) + "\n")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a_dseg.tsv", bids),
        ("a_dseg.ctbl", own_tables),
        ("a_dseg.itksnap.txt", own_tables),
        ("a_dseg.txt", own_tables),
        ("a_dseg.label", own_tables),
    ],
)
def test_a_table_beside_the_map(
    name: str, write, other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    path = tmp_path / "a_dseg.nii.gz"
    write_label_map(other, path)
    before = source_of(path).sha256()
    write(tmp_path / name)
    assert_same_heart(source_of(path), heart)
    assert len(find_hearts([tmp_path])) == 1
    assert source_of(path).sha256() != before
    # The header's own names come first, and a remark names the contradiction.
    pairs = [(value, name) for name, value in zip(SEVEN, range(1, 8), strict=True)]
    write_with_extension(path, heart, caret(pairs))
    assert_same_heart(source_of(path), heart)
    remarks = source_of(path).segmentation(SEVEN).label_map.remarks
    (told,) = (remark for remark in remarks if "which was used" in remark)
    assert "the names in its header say 1 Myocardium" in told
    assert f"{tmp_path / name}: its names say 1 " in told


def test_a_broken_table_beside_a_map_that_names_its_ids_is_ignored_with_a_remark(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    pairs = [(value, name) for name, value in OTHER_IDS.items()]
    path = write_with_extension(tmp_path / "a.nii.gz", other, caret(pairs))
    (tmp_path / "a.tsv").write_text("index\tname\n1\tLV\nx\tRV\n")
    assert_same_heart(source_of(path), heart)
    remarks = source_of(path).segmentation(SEVEN).label_map.remarks
    assert any("line 3 has index 'x'" in r and "was ignored" in r for r in remarks)


def test_other_files_beside_the_map_are_no_tables(heart: LabelMap, tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_label_map(heart, path)
    (tmp_path / "a.txt").write_text("Segmented on Monday.\n1 remark\n")
    (tmp_path / "a.tsv").write_text("onset\tduration\n1\t2\n")
    assert_same_heart(source_of(path), heart)
    for content in ("Größe normal".encode("latin-1"), b"1 LV 1 1 1 1\n" * 100_000):
        (tmp_path / "a.txt").write_bytes(content)
        assert_same_heart(source_of(path), heart)
    (tmp_path / "a.tsv").write_text("index\tname\n1\tLV\nx\tRV\n")
    with pytest.raises(InputError, match="line 3 has index 'x'"):
        source_of(path).segmentation(SEVEN)
    # A label set chosen by hand does without the table.
    found = source_of(path, label_set=label_set("default")).segmentation(SEVEN)
    assert any("line 3 has index 'x'" in remark for remark in found.label_map.remarks)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("a_dseg.tsv", "latin-1"),
        ("a_dseg.tsv", "utf-16"),
        ("a_dseg.TSV", "utf-8"),
        ("a_dseg.label", "latin-1"),
    ],
)
def test_tables_in_other_encodings(
    name: str, encoding: str, other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    write_label_map(other, tmp_path / "a_dseg.nii.gz")
    (own_tables if name.endswith("label") else bids)(tmp_path / name)
    text = (tmp_path / name).read_text()
    text = "# Größe\n" + text if name.endswith("label") else text.replace("#fff", "weiß")
    (tmp_path / name).write_text(text, encoding=encoding)
    assert_same_heart(source_of(tmp_path / "a_dseg.nii.gz"), heart)


def test_a_color_table_with_shares_of_colors(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    write_label_map(other, tmp_path / "a.nii.gz")
    lines = [f"{value} {name} 0.5 0.25 1 1" for name, value in OTHER_IDS.items()]
    (tmp_path / "a.ctbl").write_text("\n".join(lines))
    assert_same_heart(source_of(tmp_path / "a.nii.gz"), heart)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "index,name\n1,LA\n"),
        ("a.tsv", "id\tlabel\n1\tLA\n"),
        ("a.label", "1: LA\n"),
        ("a.ctbl", "left atrium\n"),
    ],
)
def test_a_table_that_cannot_be_read_is_not_ignored_in_silence(
    name: str, text: str, heart: LabelMap, tmp_path: Path
) -> None:
    write_label_map(heart, tmp_path / "a.nii.gz")
    (tmp_path / name).write_text(text)
    remarks = source_of(tmp_path / "a.nii.gz").segmentation(SEVEN).label_map.remarks
    (told,) = (remark for remark in remarks if "was ignored" in remark)
    assert told.startswith(f"{tmp_path / name} is no table of names that can be read")


def test_names_of_organs_contradict_a_label_set_and_a_table(
    heart: LabelMap, tmp_path: Path
) -> None:
    pairs = [(k, "stomach" if name == "Aorta" else name) for k, name in enumerate(SEVEN, 1)]
    path = write_with_extension(tmp_path / "a.nii.gz", heart, caret(pairs))
    found = source_of(path, label_set=label_set("default")).segmentation(SEVEN)
    (told,) = (remark for remark in found.label_map.remarks if "label set default" in remark)
    assert "say 6 stomach, but label set default says 6 Aorta, which was used" in told
    (tmp_path / "a.tsv").write_text("index\tname\n6\tAorta\n")
    found = source_of(path).segmentation(SEVEN)
    (told,) = (remark for remark in found.label_map.remarks if "which was used" in remark)
    assert "6 stomach" in told
    assert "say 6 Aorta" in told


def test_ids_may_share_a_name_that_is_no_structure(heart: LabelMap, tmp_path: Path) -> None:
    pairs = [*((k, name) for k, name in enumerate(SEVEN, 1)), (8, "(none)"), (9, "(none)")]
    assert_same_heart(
        source_of(write_with_extension(tmp_path / "a.nii.gz", heart, caret(pairs))), heart
    )


def test_a_map_of_one_id_that_is_named_after_a_structure(heart: LabelMap, tmp_path: Path) -> None:
    """Also by a model, whose label set would say that 1 is the myocardium."""
    alone = replace(heart, labels=(heart.labels == SEVEN.index("LA") + 1).astype(np.uint8))
    write_label_map(alone, tmp_path / "left_atrium.nii.gz")
    for usual in (None, label_set("default")):
        found = source_of(tmp_path / "left_atrium.nii.gz", usual=usual).segmentation(SEVEN)
        assert np.unique(found.label_map.labels).tolist() == [0, SEVEN.index("LA") + 1]
        assert "its only id was read as LA, after the file's name" in found.label_map.remarks
    write_label_map(alone, tmp_path / "case_1.nii.gz")
    with pytest.raises(InputError, match=r"default \(1 Myocardium\); acdc \(1 RV\)"):
        source_of(tmp_path / "case_1.nii.gz").resolved()


def test_what_we_write_names_its_ids(other: LabelMap, heart: LabelMap, tmp_path: Path) -> None:
    inverse = replace(label_set("default"), ids={v: k for k, v in OTHER_IDS.items()})
    write_label_map(other, tmp_path / "labels.nii.gz", SEVEN, inverse)
    assert_same_heart(source_of(tmp_path / "labels.nii.gz"), heart)
    (extension,) = nib.load(tmp_path / "labels.nii.gz").header.extensions
    assert extension.get_code() == 30


# --- ids without names --------------------------------------------------------------------------


def test_ids_that_fit_one_label_set(heart: LabelMap, tmp_path: Path) -> None:
    ids = label_set("mmwhs")
    write_label_map(heart.to_label_set(ids, SEVEN), tmp_path / "a.nii.gz")
    source = source_of(tmp_path / "a.nii.gz")
    assert_same_heart(source, heart)
    assert source.resolved().label_set == ids
    assert any("mmwhs" in r for r in source.segmentation(SEVEN).label_map.remarks)


@pytest.mark.parametrize(
    "ids",
    [
        {7: "Aorta", 44: "Myocardium", 45: "LA", 46: "LV", 47: "RA", 48: "RV", 49: "PA"},
        {22: "Heart", 23: "Aorta"},
    ],
    ids=["v1 total", "total_mr"],
)
def test_totalsegmentators_other_numberings(ids, heart: LabelMap, tmp_path: Path) -> None:
    structures = tuple(ids.values())
    lookup = np.zeros(8, np.uint8)
    for number, name in ids.items():
        if name == "Heart":
            lookup[[k for k, own in enumerate(SEVEN, 1) if own != "Aorta"]] = number
        else:
            lookup[SEVEN.index(name) + 1] = number
    labels = lookup[heart.labels]
    labels[0, 0, :5] = 5  # the liver
    write_label_map(replace(heart, labels=labels), tmp_path / "a.nii.gz")
    name = "totalsegmentator_v1" if 7 in ids else "totalsegmentator_mr"
    source = source_of(tmp_path / "a.nii.gz", label_set=label_set(name))
    found = source.segmentation(structures).label_map
    for k, (number, structure_name) in enumerate(ids.items(), 1):
        assert (found.labels == k).sum() == (labels == number).sum() > 0, structure_name


def test_a_whole_body_is_not_guessed_at(tmp_path: Path) -> None:
    """Two numberings of TotalSegmentator have ids up to 104; in one, 44 … 49 are vertebrae."""
    labels = np.zeros((40, 40, 120), np.uint8)
    for number in range(1, 118):
        labels[18:30, 10:22, number] = number
    image = LabelMap(labels, np.diag([-2.0, -2, 2, 1]))
    write_label_map(image, tmp_path / "new.nii.gz")
    found = source_of(tmp_path / "new.nii.gz").resolved()
    assert found.label_set == label_set("totalsegmentator")  # the only one with ids above 104
    some = replace(image, labels=np.where(labels > 104, 0, labels))
    write_label_map(some, tmp_path / "body.nii.gz")
    with pytest.raises(InputError, match=r"totalsegmentator_v1 .*choose one with") as raised:
        source_of(tmp_path / "body.nii.gz").resolved()
    assert "None" not in str(raised.value)
    assert len(str(raised.value)) < 1000


# --- nnU-Net ------------------------------------------------------------------------------------


def nnunet(folder: Path, heart: LabelMap, labels: object) -> Path:
    (folder / "labelsTr").mkdir(parents=True)
    write_label_map(heart, folder / "labelsTr" / "case_1.nii.gz")
    described = {"labels": labels, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def test_regions_of_named_ids_are_left_out(
    other: LabelMap, heart: LabelMap, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    regions = {"background": 0, "whole": list(range(1, 8)), "ventricles": [2, 4]}
    labels = regions | {name: [value] for name, value in OTHER_IDS.items()}
    assert_same_heart(source_of(nnunet(tmp_path / "a", other, labels)), heart)
    told = "dataset.json: regions left out, as each of their ids has a name of its own: "
    assert told + "whole, ventricles\n" in caplog.text
    del labels["ventricles"]
    assert_same_heart(source_of(nnunet(tmp_path / "b", other, labels)), heart)
    assert told + "whole\n" in caplog.text


def test_a_byte_order_mark_before_the_names(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    folder = nnunet(tmp_path / "a", other, {"background": 0, **OTHER_IDS})
    path = folder / "dataset.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf{")
    assert_same_heart(source_of(folder), heart)


def test_other_organs_of_an_nnunet_data_set_are_background(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    labels = other.labels.copy()
    labels[:3, :3, :3] = 8
    described = {"background": 0, **OTHER_IDS, "liver": 8}
    source = source_of(nnunet(tmp_path / "a", replace(other, labels=labels), described))
    assert_same_heart(source, heart)
    assert source.label_set.drop == {8}
    assert list(source.label_set.ids.items()) == [(v, k) for k, v in OTHER_IDS.items()]


def test_parts_of_an_nnunet_data_set_are_read_by_its_labels(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    folder = nnunet(tmp_path / "a", other, {"background": 0, **OTHER_IDS})
    for path in (folder / "labelsTr", folder / "labelsTr" / "case_1.nii.gz"):
        assert_same_heart(source_of(path), heart)
    chosen = source_of(folder / "labelsTr", label_set=label_set("default"))
    assert chosen.label_set == label_set("default")


def test_ignored_voxels_are_unknown(other: LabelMap, heart: LabelMap, tmp_path: Path) -> None:
    labels = other.labels.copy()
    labels[:, :, :4] = 8  # below the heart
    written = replace(other, labels=labels)
    described = {"background": 0, **OTHER_IDS, "ignore": 8}
    source = source_of(nnunet(tmp_path / "a", written, described))
    assert_same_heart(source, heart)
    unknown = source.segmentation(SEVEN).label_map.unknown
    np.testing.assert_array_equal(unknown, labels == 8)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"whole": [1, 2, 3], "LV": 3, "Myocardium": [1]}, r"ids \[2\] are named only as parts"),
        ({"LV": "three"}, "has id 'three'"),
        ({"1": "LV", "2": "LV"}, "'LV' names two ids"),
        ({"LV": 3, "LAA": 3}, r"dataset\.json: id 3 is named both 'LV' and 'LAA'; remove one"),
        ({"LV": [3], "tumour": "3"}, "id 3 is named both 'LV' and 'tumour'"),
        ({"LV": 0}, "id 0 is named both 'background' and 'LV'"),
        ({"LV": True}, "has id True"),
        ({"LV": []}, r"has id \[\]"),
    ],
)
def test_nnunet_labels_that_leave_ids_open(labels, expected, heart, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=expected):
        source_of(nnunet(tmp_path / "a", heart, {"background": 0, **labels}))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ('"0": "background", "3": "LV", "3": "LAA"', "'3' is both 'LV' and 'LAA'; remove one"),
        ('"background": 0, "LV": 3, "LV": 4', "'LV' is both 3 and 4; remove one"),
    ],
)
def test_a_key_that_occurs_twice(labels: str, expected: str, heart, tmp_path: Path) -> None:
    folder = nnunet(tmp_path / "a", heart, {})
    (folder / "dataset.json").write_text(f'{{"labels": {{{labels}}}}}')
    with pytest.raises(InputError, match=rf"dataset\.json: cannot be read as JSON: {expected}"):
        source_of(folder)


# --- the commands -------------------------------------------------------------------------------


def test_each_heart_of_a_cohort_is_read_by_its_own_names(
    other: LabelMap, heart: LabelMap, tmp_path: Path
) -> None:
    segments = [(name, 0, value) for name, value in OTHER_IDS.items()]
    maps = tmp_path / "maps"
    maps.mkdir()
    nibbled = heart.labels.copy()  # not a copy of the other, which would be left out
    nibbled[tuple(np.argwhere(nibbled == 1)[0])] = 0
    write_segmentation(maps / "named.seg.nrrd", other, segments)
    write_label_map(replace(heart, labels=nibbled), maps / "plain.nii.gz")
    bad = write_segmentation(maps / "bad.seg.nrrd", other, [("Tumor", 0, 1), *segments[1:]])
    options = PrepareOptions(sampling=SamplingSpec(500, 500, 500), val_share=0.5, workers=1)
    dataset, failed = prepare([maps], tmp_path / "data", options)
    assert failed.keys() == {"bad"}
    assert str(bad) in failed["bad"]
    assert dataset.structures == SEVEN
    assert {h.name: h.label_set for h in dataset.hearts}["plain"] == "default"
    infos = [dataset.open(entry).info for entry in dataset.hearts]
    one, two = (np.array([info.volumes_ml[name] for name in SEVEN]) for info in infos)
    np.testing.assert_allclose(one, two, rtol=0.02)
    # What is prepared stays, without reading the names again.
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "data" / "hearts").iterdir()}
    prepare([maps], tmp_path / "data", options)
    assert all(file.stat().st_mtime_ns == time for file, time in files.items())


def test_sides_that_a_header_leaves_open_are_told_by_anatomy(
    heart: LabelMap, tmp_path: Path
) -> None:
    """Whichever of the two ways the axes ran, the heart is no mirror image."""
    remarks = []
    for number, labels in enumerate((heart.labels, heart.labels[::-1])):
        image = nib.Nifti1Image(labels, None)
        image.header.set_zooms(heart.spacing_mm)
        image.set_sform(None, 0)
        image.set_qform(None, 0)
        nib.save(image, tmp_path / f"{number}.nii.gz")
        source = source_of(tmp_path / f"{number}.nii.gz", label_set=label_set("default"))
        found = source.segmentation(SEVEN).label_map
        assert np.linalg.det(found.affine) * np.linalg.det(heart.affine) * (-1) ** number > 0
        remarks.append(" ".join(found.remarks))
    assert all("left and right are a guess" in said for said in remarks)
    assert sum("R and L were exchanged" in said for said in remarks) == 1
