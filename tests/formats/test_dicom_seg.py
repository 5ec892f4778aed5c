"""DICOM segmentations, as highdicom writes them."""

import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage
from support.dicom import write_seg
from support.maps import OBLIQUE

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import HeartSource
from vecsetx.errors import InputError
from vecsetx.formats import unpacking
from vecsetx.formats.images import read_grid, read_image
from vecsetx.formats.label_maps import read_label_map

# Three boxes of different sizes, off every axis of symmetry.
LABELS = np.zeros((9, 11, 13), np.uint8)
LABELS[1:5, 2:6, 3:9] = 1
LABELS[5:8, 3:9, 2:5] = 2
LABELS[2:4, 7:10, 9:12] = 3


def source_of(path: Path, **options: object) -> HeartSource:
    (source,) = find_hearts([path], **options).values()
    return source


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.stack([labels == k for k in (1, 2, 3)], -1)


def test_segments_have_their_names_and_places(tmp_path: Path) -> None:
    """Left stays left: the grid is oblique and anisotropic."""
    stack = one_hot(LABELS)
    stack[1, 2, 3, 1] = True  # this voxel of the left ventricle is the left atrium's, too
    path = write_seg(tmp_path / "a.dcm", stack)
    found = read_label_map(path)
    source = source_of(path)
    assert source.resolved().label_set.ids == {1: "LV", 2: "LA", 3: "RV"}
    assert "share 1 voxels" in " ".join(found.remarks)
    assert found.voxel_volume_mm3 == pytest.approx(abs(np.linalg.det(OBLIQUE[:3, :3])))
    for label in (1, 2, 3):
        truth = np.argwhere(label == LABELS) @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
        made = found.to_mm(np.argwhere(found.labels == label))
        assert len(made) == pytest.approx(len(truth), abs=1)
        assert np.linalg.norm(made.mean(axis=0) - truth.mean(axis=0)) < 0.5
    shape, affine = read_grid(path)
    np.testing.assert_allclose(affine, found.affine, atol=1e-4)
    assert shape == found.shape


def test_slices_left_out_are_not_the_edge_of_the_scan(tmp_path: Path) -> None:
    """DICOM has no frames without segments: a round end there is whole, and a flat one cut."""
    i, j, k = np.indices((9, 11, 13)) - np.array([4, 5, 6]).reshape(3, 1, 1, 1)
    round_ends = i**2 + j**2 + k**2 < 12
    stack = np.stack([round_ends & (k < 0), round_ends & (k >= 0)], -1)
    for first, cut in ((0, False), (4, True)):
        kept = stack.copy()
        kept[:first] = False
        path = write_seg(tmp_path / "a.dcm", kept, ("LV", "RV"))
        found = read_label_map(path)
        assert any("does not show where the scan ends" in remark for remark in found.remarks)
        assert found.labels[0].any() == cut
        assert not found.labels[-1].any()
        truth = np.argwhere(kept[..., 0]) @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
        made = found.to_mm(np.argwhere(found.labels == 1))
        np.testing.assert_allclose(made.mean(axis=0), truth.mean(axis=0), atol=1e-3)


def other_spacing(measures: pydicom.Dataset) -> pydicom.Dataset:
    other = deepcopy(measures)
    other.SliceThickness = 9
    return other


def broken(path: Path, change) -> Path:
    file = pydicom.dcmread(path)
    change(file)
    file.save_as(path)
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: delattr(f, "FrameOfReferenceUID"), "frame of reference"),
        (lambda f: setattr(f, "SOPClassUID", CTImageStorage), "not a DICOM segmentation"),
        (lambda f: delattr(f, "SegmentSequence"), "cannot be read|not a DICOM segmentation"),
        (lambda f: setattr(f, "PixelData", f.PixelData[:10]), "cannot be read"),
        (lambda f: setattr(f, "NumberOfFrames", f.NumberOfFrames - 1), "and describes"),
        (lambda f: setattr(f, "NumberOfFrames", 2_000_000_000), "it has 2000000000 frames, and"),
        (lambda f: f.PerFrameFunctionalGroupsSequence.append(pydicom.Dataset()), "and describes"),
        (
            lambda f: setattr(f, "PixelData", f.PixelData + bytes(2000)),
            "bytes of voxels, and claims",
        ),
        (lambda f: setattr(f, "SegmentationType", "LABELMAP"), "its type is LABELMAP, and its"),
        (lambda f: setattr(f, "SegmentationType", "FRACTIONAL"), "its type is FRACTIONAL"),
        (
            lambda f: setattr(
                f.PerFrameFunctionalGroupsSequence[1],
                "PixelMeasuresSequence",
                [other_spacing(f.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0])],
            ),
            "its PixelMeasuresSequence for all frames differs from that of single ones",
        ),
        (
            lambda f: setattr(f.SegmentSequence[0], "SegmentLabel", "LA"),
            "call both 1 and 2 'LA'",
        ),
    ],
)
def test_broken_files(change, expected: str, tmp_path: Path) -> None:
    path = broken(write_seg(tmp_path / "a.dcm", one_hot(LABELS)), change)
    with pytest.raises(InputError, match=expected) as raised:
        read_image(path)
    assert str(raised.value).startswith(str(path))


def test_what_is_said_twice_may_be_the_same(tmp_path: Path) -> None:
    def change(file: pydicom.Dataset) -> None:
        shared = file.SharedFunctionalGroupsSequence[0]
        file.PerFrameFunctionalGroupsSequence[1].PixelMeasuresSequence = deepcopy(
            shared.PixelMeasuresSequence
        )

    path = write_seg(tmp_path / "a.dcm", one_hot(LABELS))
    before = read_image(path)
    after = read_image(broken(path, change))
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.affine, before.affine)


def test_files_that_are_no_dicom(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"no dicom at all" * 100)
    said = r"cannot be read as a DICOM segmentation \(File is missing.* from the header\); copy"
    with pytest.raises(InputError, match=said):
        read_image(path)


def test_names_that_are_no_structures(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "a.dcm", one_hot(LABELS)[..., :2], ("LV", "Tumor"))
    with pytest.raises(InputError, match="2 'Tumor'"):
        source_of(path).read(("LV",))


def test_the_code_of_the_heart_names_no_part_of_it(tmp_path: Path) -> None:
    """Programs give it to any segment; the label is what counts."""
    path = write_seg(tmp_path / "a.dcm", one_hot(LABELS)[..., :2], ("LV", "endocardial volume"))
    file = pydicom.dcmread(path)
    heart = file.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0]
    heart.CodeValue, heart.CodeMeaning = "80891009", "Heart"
    file.save_as(path)
    with pytest.raises(InputError, match="2 'endocardial volume'"):
        source_of(path).read(("LV",))


# --- segments of other organs -------------------------------------------------------------------

ORGANS = ("liver", "LV", "Background", "LA", "spleen", "RV")


def with_organs() -> np.ndarray:
    """The boxes as segments 2, 4 and 6; the others reach into them and beyond."""
    organ = np.zeros(LABELS.shape, bool)
    organ[2:8, 3:9, 3:12] = True
    boxes = one_hot(LABELS)
    return np.stack([organ, boxes[..., 0], organ, boxes[..., 1], organ, boxes[..., 2]], -1)


def test_segments_of_other_organs_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a whole result of TotalSegmentator, most of which would take memory for nothing."""
    path = write_seg(tmp_path / "a.dcm", with_organs(), ORGANS)
    grid = math.prod(read_grid(path)[0])
    monkeypatch.setattr(unpacking, "LAYERS", 3)
    found = read_label_map(path, most_voxels=grid)
    assert not any("share" in remark for remark in found.remarks)
    assert found.present() == [2, 4, 6]
    assert source_of(path).resolved().label_set.ids == {2: "LV", 4: "LA", 6: "RV"}
    for label, number in ((1, 2), (2, 4), (3, 6)):
        truth = np.argwhere(label == LABELS) @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
        made = found.to_mm(np.argwhere(found.labels == number))
        assert len(made) == len(truth)
        np.testing.assert_allclose(made.mean(axis=0), truth.mean(axis=0), atol=1e-3)
    monkeypatch.setattr(unpacking, "LAYERS", 2)
    with pytest.raises(InputError, match=r"claims \d+ × 11 × 13 voxels with 3 values each"):
        read_image(path, most_voxels=grid)


def test_a_file_of_other_organs_alone_names_no_structure(tmp_path: Path) -> None:
    organs = ("liver", "spleen", "Background")
    path = write_seg(tmp_path / "a.dcm", one_hot(LABELS), organs)
    with pytest.raises(InputError, match=r"a\.dcm: its segments name no structure; describe the"):
        source_of(path).read(("LV",))
    # A label set may say otherwise.
    described = LabelSet("mine", {1: "LV", 2: "RV"}, frozenset({3}))
    found = source_of(path, label_set=described).segmentation(("LV", "RV")).label_map
    assert (found.labels == 1).sum() == (LABELS == 1).sum()
    with pytest.raises(InputError, match="its segments name no structure"):
        read_image(path, most_voxels=1)


# --- what a file says of its segments -----------------------------------------------------------


def with_codes(path: Path, number: int, kind: str, region: str | None = None) -> Path:
    """Give a segment another meaning of its type and of its region."""

    def change(file: pydicom.Dataset) -> None:
        segment = file.SegmentSequence[number - 1]
        segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = kind
        if region:
            segment.AnatomicRegionSequence = [pydicom.Dataset()]
            (code,) = segment.AnatomicRegionSequence
            code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "SCT", region

    return broken(path, change)


@pytest.mark.parametrize(
    ("kind", "region", "meant"),
    [
        ("Left atrium", None, "Left atrium"),
        ("Tissue", "Left atrium", "Left atrium"),
        ("Heart", "Right ventricle", "Right ventricle"),
        ("Left ventricle", None, None),
        ("Heart", "Tissue", None),
        ("Left ventricle", "Left atrium", None),  # one of the two agrees
    ],
)
def test_a_code_that_contradicts_a_name_is_told(
    tmp_path: Path, kind: str, region: str | None, meant: str | None
) -> None:
    path = with_codes(write_seg(tmp_path / "a.dcm", one_hot(LABELS)), 1, kind, region)
    told = f"segment 1 is called left ventricle, but its code means {meant}; its name was used"
    found = read_label_map(path)
    assert [r for r in found.remarks if "segment 1" in r] == [told] * (meant is not None)
    assert source_of(path).resolved().label_set.ids == {1: "LV", 2: "LA", 3: "RV"}


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_frames_of_a_segment_that_is_not_described(tmp_path: Path, kind: str) -> None:
    values = LABELS if kind == "LABELMAP" else one_hot(LABELS)
    path = write_seg(tmp_path / "a.dcm", values, kind=kind)
    assert read_label_map(path).present() == [1, 2, 3]

    def change(file: pydicom.Dataset) -> None:
        (second,) = (one for one in file.SegmentSequence if one.SegmentNumber == 2)
        file.SegmentSequence.remove(second)

    broken(path, change)
    with pytest.raises(
        InputError,
        match=r"a\.dcm: its frames refer to segments \[2\], which it does not describe \(it has "
        r"\[1, 3\]\); export it again",
    ):
        read_image(path)
