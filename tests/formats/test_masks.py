"""One file per structure: TotalSegmentator's folders become the label map they stand for."""

import numpy as np
import pytest
from support.maps import OBLIQUE, save
from support.masks import LEFT, NOTHING, RIGHT, box, write_masks

from vecsetx.errors import InputError
from vecsetx.formats.masks import read_mask, read_masks


def test_masks_become_one_label_map(tmp_path):
    files = write_masks(tmp_path, LV=LEFT, RV=RIGHT * 255, LA=NOTHING, PV=LEFT)
    found = read_masks(files, ("RV", "LA", "LV"), absent=("LA",))
    assert found.labels.tolist() == (RIGHT + 3 * LEFT).tolist()
    assert found.labels.dtype == np.uint8
    np.testing.assert_allclose(found.affine, OBLIQUE, rtol=1e-6)
    assert found.remarks == ()


def test_an_empty_mask_is_remarked_unless_its_structure_is_known_to_be_absent(tmp_path):
    files = write_masks(tmp_path, LV=LEFT, RV=RIGHT, LA=NOTHING, LAA=NOTHING)
    for absent, empty in ((), "LA, LAA"), (("LAA",), "LA"), (("LA", "LV"), "LAA"):
        (remark,) = read_masks(files, ("LV", "RV", "LA", "LAA"), absent).remarks
        assert remark.startswith(f"empty masks: {empty}; segmentation may have failed there, so ")
    assert read_masks(files, ("LV", "RV")).remarks == ()  # nobody asked for the others


def test_the_whole_heart_gives_way(tmp_path):
    files = write_masks(tmp_path, Heart=LEFT | RIGHT, LV=LEFT)
    for structures in (("Heart", "LV"), ("LV", "Heart")):
        found = read_masks(files, structures)
        expected = np.where(LEFT, structures.index("LV") + 1, 0)
        expected[RIGHT] = structures.index("Heart") + 1
        assert found.labels.tolist() == expected.tolist()
        assert found.remarks == ()
    alone = read_masks(files, ("Heart",))
    assert alone.labels.sum() == (LEFT | RIGHT).sum()


def test_even_a_whole_heart_smaller_than_its_part(tmp_path):
    found = read_masks(
        write_masks(tmp_path, Heart=box((0, 0, 0), (1, 9, 10)), LV=LEFT), ("Heart", "LV")
    )
    assert found.labels.tolist() == (2 * LEFT).tolist()


def test_a_small_overlap_goes_to_the_smaller_structure(tmp_path):
    right = RIGHT.copy()
    right[2, 3, 4] = True  # 1 of 169
    files = write_masks(tmp_path, LV=LEFT, RV=right)
    for structures in (("LV", "RV"), ("RV", "LV")):
        found = read_masks(files, structures)
        assert structures[found.labels[2, 3, 4] - 1] == "RV"
        assert found.remarks == ("RV and LV share 1 voxels; they were given to RV",)


def test_a_large_overlap(tmp_path):
    right = RIGHT.copy()
    right[2, 3, 4:6] = True  # 2 of 170, more than 1%
    with pytest.raises(
        InputError, match=r"RV\.nii\.gz: 2 of its 170 voxels are also in LV\.nii\.gz"
    ):
        read_masks(write_masks(tmp_path, LV=LEFT, RV=right), ("LV", "RV"))


def test_a_part_that_the_whole_includes(tmp_path):
    """TotalSegmentator's left atrium includes the appendage, which another of its tasks adds."""
    tip = box((0, 0, 0), (3, 3, 3))
    found = read_masks(write_masks(tmp_path, LA=LEFT, LAA=tip), ("LA", "LAA"))
    assert found.labels.tolist() == np.where(tip, 2, LEFT).tolist()
    assert found.remarks == ("LAA and LA share 27 voxels; they were given to LAA",)
    with pytest.raises(InputError, match="27 of its 27 voxels are also in"):
        read_masks(write_masks(tmp_path, LA=tip, LAA=LEFT), ("LA", "LAA"))


def test_a_mask_holds_one_value(tmp_path):
    path = save(tmp_path / "LV.nii.gz", LEFT.astype(np.uint8) + RIGHT * np.uint8(2))
    with pytest.raises(
        InputError,
        match=r"LV\.nii\.gz: a mask has one value besides 0, this one has 2 \(1, 2\)",
    ):
        read_mask(path)
    with pytest.raises(InputError, match="not whole numbers"):
        read_mask(save(tmp_path / "RV.nii.gz", LEFT * np.float32(0.5)))


def test_nothing_at_all(tmp_path):
    files = write_masks(tmp_path, LV=NOTHING, RV=NOTHING)
    with pytest.raises(InputError, match=r"every mask is empty \(LV, RV\); segment the heart or"):
        read_masks(files, ("LV", "RV"))
    with pytest.raises(InputError, match="none of LA has a mask"):
        read_masks(files, ("LA",))


def write_segment(path, mask, name, value=1):
    """One segment, as 3D Slicer writes it."""
    header = (
        "NRRD0004\ntype: uchar\ndimension: 3\nspace: right-anterior-superior\nsizes: 8 9 10\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n"
        f"Segment0_ID:=a\nSegment0_Name:={name}\nSegment0_LabelValue:={value}\n"
        "Segment0_Layer:=0\n\n"
    )
    path.write_bytes(header.encode() + (mask * np.uint8(value)).tobytes(order="F"))
    return path


@pytest.mark.parametrize("value", [1, 7])
def test_a_segment_of_another_name_than_its_file_is_told(tmp_path, value):
    files = {
        "LV": write_segment(tmp_path / "heart_ventricle_left.seg.nrrd", LEFT, "RV", value),
        "RV": write_segment(tmp_path / "RV.seg.nrrd", RIGHT, "right ventricle", value),
    }
    found = read_masks(files, ("LV", "RV"))
    assert found.labels.tolist() == (LEFT + 2 * RIGHT).tolist()
    (told,) = (remark for remark in found.remarks if "named after" in remark)
    assert told == (
        f"{files['LV']}: its segments say {value} RV, but the file is named after LV, which was "
        "used"
    )
    write_segment(files["LV"], LEFT, "Segment_1", value)  # no structure, so no contradiction
    assert not any("named after" in r for r in read_masks(files, ("LV", "RV")).remarks)
