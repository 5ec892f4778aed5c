"""Masks on grids of one lattice: cropped, flipped and with swapped axes."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from support.hearts import write_small_phantoms
from support.maps import OBLIQUE, save, save_itk
from support.masks import LEFT, RIGHT, write_cropped_masks, write_masks

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map
from vecsetx.formats.masks import read_masks
from vecsetx.geometry.view import cut_structures

STRUCTURES = label_set("default").structures
BOTH = ("LV", "RV")


@pytest.fixture(scope="module")
def heart(tmp_path_factory):
    """A phantom on an oblique, left-handed grid."""
    (path,) = write_small_phantoms(tmp_path_factory.mktemp("phantom"), 1)
    found = read_label_map(path)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    return LabelMap(found.labels[::-1], turn @ found.affine @ np.diag([-1, 1, 1, 1.0]))


def centers_mm(label_map):
    return np.array(
        [
            label_map.to_mm(np.argwhere(label_map.labels == k)).mean(axis=0)
            for k in range(1, len(STRUCTURES) + 1)
        ]
    )


@pytest.mark.parametrize("turned", [False, True])
def test_a_heart_of_cropped_masks_is_the_heart(tmp_path, heart, turned):
    files = write_cropped_masks(tmp_path, heart, STRUCTURES, turned)
    assert len({read_label_map(file).shape for file in files.values()}) == len(STRUCTURES)
    found = read_masks(files, STRUCTURES)
    np.testing.assert_allclose(centers_mm(found), centers_mm(heart), atol=1e-3)
    across = centers_mm(found) @ -heart.affine[:3, 0]  # its first axis runs to the phantom's left
    assert across[STRUCTURES.index("LA")] < across[STRUCTURES.index("RA")]
    everywhere = np.argwhere(np.ones(heart.shape, bool))
    np.testing.assert_array_equal(found.at(heart.to_mm(everywhere)), heart.labels.ravel())
    np.testing.assert_array_equal(
        np.bincount(found.labels.flat)[1:], np.bincount(heart.labels.flat)[1:]
    )
    assert not cut_structures(found, len(STRUCTURES)).any()
    assert "the masks' grids differ; they were pasted into one grid" in found.remarks[0]
    assert "do not show where the scan ends" in found.remarks[1]


def test_a_cropped_heart_that_the_scan_cut_is_cut_there(tmp_path, heart):
    """Its vessels end in one plane; its other sides are round."""
    k = heart.bounding_box()[2]
    cut = LabelMap(heart.labels[:, :, : (k.start + 2 * k.stop) // 3], heart.affine)
    found = read_masks(write_cropped_masks(tmp_path, cut, STRUCTURES[:7]), STRUCTURES[:7])
    expected = cut_structures(cut, 7)
    assert set(expected.tolist()) == {False, True}
    np.testing.assert_array_equal(cut_structures(found, 7), expected)


def test_a_mask_with_room_shows_where_the_scan_ends(tmp_path):
    files = write_masks(tmp_path, LV=LEFT, RV=RIGHT[4:])
    files |= {"RV": save(files["RV"], RIGHT[4:].astype(np.uint8), OBLIQUE @ shift(4, 0, 0))}
    found = read_masks(files, BOTH)
    assert found.labels.tolist() == (LEFT + 2 * RIGHT).tolist()
    np.testing.assert_allclose(found.affine, OBLIQUE, rtol=1e-6)
    assert found.remarks == ("the masks' grids differ; they were pasted into one grid around all",)


def test_programs_may_be_mixed(tmp_path):
    """NRRD of SimpleITK, cropped by it and turned to its axes, beside NIfTI."""
    files = write_masks(tmp_path, LV=LEFT)
    path = save_itk(tmp_path / "RV.nrrd", RIGHT.astype(np.uint8))
    image = sitk.DICOMOrient(sitk.ReadImage(str(path))[4:, 1:, :], "SAR")
    sitk.WriteImage(image, str(path))
    found = read_masks(files | {"RV": path}, BOTH)
    assert found.labels.tolist() == (LEFT + 2 * RIGHT).tolist()


def shift(*voxels):
    affine = np.eye(4)
    affine[:3, 3] = voxels
    return affine


def refused(folder, affine, mask=RIGHT, **header):
    files = write_masks(folder, LV=LEFT)
    files["RV"] = save(folder / "RV.nii.gz", mask.astype(np.uint8), affine, **header)
    with pytest.raises(InputError) as error:
        read_masks(files, BOTH)
    return str(error.value)


@pytest.mark.parametrize("shape", [10, 9])
def test_voxels_that_do_not_coincide(tmp_path, shape):
    mask = RIGHT[:, :, :shape]
    line = refused(tmp_path, OBLIQUE @ shift(2, 0, -0.3), mask)
    assert "RV.nii.gz: its grid differs from that of LV.nii.gz (displaced by up to 0.3 v" in line
    assert "resample all masks of a heart to one grid" in line
    assert "displaced by up to 0.002" in refused(tmp_path, OBLIQUE @ shift(0.002, 0, 0), mask)
    wider = OBLIQUE @ np.diag([1, 1.02, 1, 1])
    assert "displaced by up to 0.16 voxels" in refused(tmp_path, wider, mask)
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("z", 45, degrees=True).as_matrix()
    for change in (np.diag([2, 1, 1, 1]), np.diag([1, 1, 0.4, 1]), turned):
        line = refused(tmp_path, OBLIQUE @ change, mask)
        assert "(another spacing or direction)" in line
    read_masks(  # what rounding to float32 does
        write_masks(tmp_path, LV=LEFT)
        | write_masks(tmp_path, OBLIQUE @ shift(0, 0.0005, 0), RV=mask),
        BOTH,
    )


def test_masks_that_lie_too_far_apart(tmp_path):
    """No grid of that size is made, and no number overflows."""
    straight = np.eye(4)
    files = write_masks(tmp_path, straight, LV=LEFT)
    for voxels, size in ((2e3, "2008 × 2009 × 2010"), (2e4, "20008 × 20009 × 20010")):
        path = save(tmp_path / "RV.nii.gz", RIGHT.astype(np.uint8), shift(*[voxels] * 3))
        with pytest.raises(InputError, match=rf"lie so far apart that a grid around .* {size}"):
            read_masks(files | {"RV": path}, BOTH)
    for voxels in (2**40, 1e30):
        line = refused(tmp_path, OBLIQUE @ shift(voxels, voxels, voxels))
        assert "from the scanner's origin" in line


def test_masks_whose_header_does_not_say_where_they_lie(tmp_path):
    line = refused(tmp_path, None, RIGHT[4:])
    assert "RV.nii.gz: its grid differs from that of LV.nii.gz" in line
    for name, mask in (("LV", LEFT[:6]), ("RV", RIGHT[4:])):
        save(tmp_path / f"{name}.nii.gz", mask.astype(np.uint8), None)
    with pytest.raises(InputError, match="does not say where its grid lies, so that they cannot"):
        read_masks({name: tmp_path / f"{name}.nii.gz" for name in BOTH}, BOTH)
