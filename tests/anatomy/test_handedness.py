"""Handedness distinguishes a heart from its mirror image in any pose."""

import hypothesis.extra.numpy as arrays
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation
from support.hearts import write_small_phantoms

from vecsetx.anatomy.handedness import handedness, is_mirrored
from vecsetx.anatomy.label_sets import label_set
from vecsetx.formats.label_maps import read_label_map

USUAL_MM = {
    "LV": np.array([-18.0, 7, -23]),
    "RV": np.array([5.0, 31, -26]),
    "Aorta": np.array([6.0, -12, 29]),
    "LA": np.array([8.0, -20, 5]),
    "PA": np.array([-5.0, 0, 29]),
}


@given(
    st.floats(0.001, 1000),
    arrays.arrays(np.float64, 3, elements=st.floats(-3, 3)),
    arrays.arrays(np.float64, 3, elements=st.floats(-300, 300)),
)
def test_pose_and_size_change_nothing_and_a_mirror_the_sign(scale, angles, shift):
    turn = Rotation.from_rotvec(angles).as_matrix() * scale
    moved = {name: turn @ centre + shift for name, centre in USUAL_MM.items()}
    expected = handedness(USUAL_MM)
    assert expected == pytest.approx(0.31, abs=0.01)
    assert handedness(moved) == pytest.approx(expected, rel=1e-6)
    mirrored = {name: centre * [1, 1, -1] for name, centre in moved.items()}
    assert handedness(mirrored) == pytest.approx(-expected, rel=1e-6)
    assert (is_mirrored(moved), is_mirrored(mirrored)) == (False, True)


@pytest.mark.parametrize("missing", ["LV", "RV", "Aorta", "LA"])
def test_what_does_not_decide(missing):
    some = {name: centre for name, centre in USUAL_MM.items() if name != missing}
    assert handedness(some) is None
    assert is_mirrored(some) is None
    assert is_mirrored({**USUAL_MM, missing: np.mean(list(some.values())[:3], axis=0)}) is None
    assert handedness(dict.fromkeys(USUAL_MM, np.ones(3))) is None


def centroids(labels, affine, ids):
    """Structure → centroid, RAS+ mm."""
    found = [label for label in ids if (labels == label).any()]
    centres = ndimage.center_of_mass(labels > 0, labels, found) @ affine[:3, :3].T + affine[:3, 3]
    return dict(zip((ids[label] for label in found), centres, strict=True))


REAL = {
    "kcl/val/case13.nii.gz": "default",
    "mmwhs/ct_train_1002.nii.gz": "mmwhs",
    "visible_human/female.nii.gz": "default",
}


@pytest.mark.parametrize("file", REAL)
def test_real_hearts_are_not_mirrored(file, real_hearts):
    image = nib.load(real_hearts / file)
    labels = np.asarray(image.dataobj[::4, ::4, ::4])
    affine = image.affine @ np.diag([4, 4, 4, 1])
    centres = centroids(labels, affine, label_set(REAL[file]).ids)
    assert handedness(centres) > 0.26
    assert handedness({name: centre * [-1, 1, 1] for name, centre in centres.items()}) < -0.26


def test_phantoms_are_not_mirrored(tmp_path):
    for path in write_small_phantoms(tmp_path, 3):
        heart = read_label_map(path)
        found = centroids(heart.labels, heart.affine, label_set("default").ids)
        assert is_mirrored(found) is False
