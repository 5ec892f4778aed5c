"""Label maps: in and out of NIfTI, placed in mm, their ids named."""

import hypothesis.extra.numpy as arrays
import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.affines import AXES, FLIPS, affines
from support.maps import LABELS, OBLIQUE, save

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid
from vecsetx.formats.label_maps import read_label_map, write_label_map


def label_grids(dtype, highest):
    shapes = st.tuples(*[st.integers(1, 5)] * 3)
    return arrays.arrays(dtype, shapes, elements=st.integers(0, highest)).filter(np.any)


# --- files ------------------------------------------------------------------------------------


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    label_grids(np.uint8, 255) | label_grids(np.uint16, 65535),
    affines(),
    st.sampled_from([".nii", ".nii.gz"]),
)
def test_round_trip(tmp_path, labels, affine, extension):
    path = tmp_path / f"case.1{extension}"
    write_label_map(LabelMap(labels, affine), path)
    found = read_label_map(path)
    assert found.labels.tolist() == labels.tolist()
    assert found.labels.dtype == (np.uint8 if labels.max() < 256 else np.uint16)
    # NIfTI keeps the affine in float32, so what comes back is exactly that.
    assert found.affine.tolist() == affine.astype(np.float32).astype(np.float64).tolist()


def test_a_second_round_trip_changes_nothing(tmp_path):
    first = save(tmp_path / "a.nii.gz", LABELS)
    write_label_map(read_label_map(first), tmp_path / "b.nii.gz")
    found, again = read_label_map(first), read_label_map(tmp_path / "b.nii.gz")
    assert found.labels.tolist() == again.labels.tolist() == LABELS.tolist()
    assert found.affine.tolist() == again.affine.tolist()


def test_what_is_written_says_mm_and_scanner_space(tmp_path):
    write_label_map(LabelMap(LABELS, OBLIQUE), tmp_path / "a.nii.gz")
    header = nib.load(tmp_path / "a.nii.gz").header
    assert header.get_xyzt_units()[0] == "mm"
    assert header["sform_code"] > 0
    np.testing.assert_allclose(header.get_zooms(), [2, 3.5, 10], rtol=1e-6)


@pytest.mark.parametrize(
    ("code", "mm_per_length"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001), (2 + 8, 1.0)]
)
def test_lengths_in_other_units_become_mm(tmp_path, code, mm_per_length):
    affine = OBLIQUE.copy()
    affine[:3] /= mm_per_length
    path = save(tmp_path / "a.nii.gz", LABELS, affine, xyzt_units=code)
    found = read_label_map(path)
    np.testing.assert_allclose(found.affine, OBLIQUE, rtol=1e-6)
    np.testing.assert_allclose(found.spacing_mm, [2, 3.5, 10], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(tmp_path, dtype):
    found = read_label_map(save(tmp_path / "a.nii.gz", LABELS.astype(dtype)))
    assert found.labels.dtype == np.uint8
    assert found.labels.tolist() == LABELS.tolist()


def test_the_headers_slope_and_intercept_are_heeded(tmp_path):
    image = nib.Nifti1Image(LABELS.astype(np.int16) * 2 + 6, OBLIQUE)
    image.header.set_slope_inter(0.5, -3)  # written as it is: stored × 0.5 − 3
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_label_map(tmp_path / "a.nii.gz").labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("ending", ["nii.gz", "mha"])
@pytest.mark.parametrize("more", [1, 2])
def test_further_dimensions_of_length_1_are_dropped(tmp_path, ending, more):
    path, affine = tmp_path / f"a.{ending}", OBLIQUE
    if ending == "nii.gz":
        save(path, LABELS.reshape(*LABELS.shape, *[1] * more))
    else:
        matrix = " ".join(f"{value:g}" for value in np.eye(3 + more).ravel())
        path.write_bytes(
            f"ObjectType = Image\nNDims = {3 + more}\nTransformMatrix = {matrix}\n"
            f"Offset = 100 7 -50{' 0' * more}\nElementSpacing = 2 3 5{' 1' * more}\n"
            f"DimSize = 2 3 4{' 1' * more}\nElementType = MET_UCHAR\n"
            "ElementDataFile = LOCAL\n".encode()
            + LABELS.tobytes(order="F")
        )
        affine = np.diag([-2.0, -3, 5, 1])
        affine[:3, 3] = [-100, -7, -50]
    found = read_label_map(path)
    assert found.labels.tolist() == LABELS.tolist()
    np.testing.assert_allclose(found.affine, affine, rtol=1e-6)


def test_the_sform_is_heeded_before_the_qform(tmp_path):
    image = nib.Nifti1Image(LABELS, OBLIQUE)
    image.set_qform(np.diag([3.0, 3, 3, 1]), code=1)
    image.set_sform(OBLIQUE, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_allclose(read_label_map(tmp_path / "a.nii.gz").affine, OBLIQUE, rtol=1e-6)


def test_a_surface_is_no_label_map(tmp_path):
    nib.save(nib.gifti.GiftiImage(), tmp_path / "a.gii")
    with pytest.raises(InputError, match=r"a\.gii: unsupported image format; give NIfTI"):
        read_label_map(tmp_path / "a.gii")


def test_the_grid_of_any_image(tmp_path):
    values = np.full((2, 3, 4, 5), -0.5, np.float32)
    path = save(
        tmp_path / "ct.nii.gz", values, OBLIQUE * [[1000], [1000], [1000], [1]], xyzt_units=3
    )
    shape, affine = read_grid(path)
    assert shape == (2, 3, 4)
    np.testing.assert_allclose(affine[:3], OBLIQUE[:3], rtol=1e-6)
    with pytest.raises(InputError, match=r"gone\.nii: no such file"):
        read_grid(tmp_path / "gone.nii")
    with pytest.raises(InputError, match=r"flat\.nii: not a 3-D image"):
        read_grid(save(tmp_path / "flat.nii", LABELS[0]))


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_label_map(LabelMap(LABELS, OBLIQUE), path)
    with pytest.raises(ValueError, match="shape"):
        write_label_map(LabelMap(LABELS, np.eye(3)), path)
    assert read_label_map(path).labels.tolist() == LABELS.tolist()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.nii.gz"]


# --- space ------------------------------------------------------------------------------------


def test_a_voxel_has_its_place_by_hand():
    # First axis to the Left at 2 mm, second to Superior at 3, third to Anterior at 5.
    affine = np.array([[-2.0, 0, 0, 100], [0, 0, 5, -50], [0, 3, 0, 7], [0, 0, 0, 1]])
    label_map = LabelMap(LABELS, affine)
    assert label_map.to_mm(np.array([[0, 0, 0], [1, 2, 3]])).tolist() == [
        [100, -50, 7],
        [98, -35, 13],
    ]
    assert label_map.to_indices(np.array([98.0, -35, 13])).tolist() == pytest.approx([1, 2, 3])
    assert label_map.spacing_mm.tolist() == [2, 3, 5]
    assert label_map.voxel_volume_mm3 == pytest.approx(30)
    assert label_map.shape == (2, 3, 4)


@given(affines(), arrays.arrays(np.float64, (4, 3), elements=st.floats(-10, 600)))
def test_indices_and_mm_lead_to_each_other(affine, indices):
    label_map = LabelMap(LABELS, affine)
    back = label_map.to_indices(label_map.to_mm(indices))
    np.testing.assert_allclose(back, indices, rtol=0, atol=1e-8)


@given(affines())
def test_spacing_and_volume_do_not_depend_on_turns_and_flips(affine):
    label_map = LabelMap(LABELS, affine)
    steps_mm = label_map.to_mm(np.eye(3)) - label_map.to_mm(np.zeros(3))
    np.testing.assert_allclose(np.linalg.norm(steps_mm, axis=1), label_map.spacing_mm, rtol=1e-9)
    assert label_map.voxel_volume_mm3 == pytest.approx(label_map.spacing_mm.prod())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(affines(), AXES, FLIPS)
def test_the_order_of_the_axes_in_the_file_moves_nothing(tmp_path, affine, axes, flips):
    """The same heart, stored along other axes, lies where it lay: no mirrored hearts."""
    start = nib.orientations.axcodes2ornt("RAS")
    turned = np.column_stack([axes, flips])
    image = nib.Nifti1Image(LABELS, affine)
    stored = image.as_reoriented(nib.orientations.ornt_transform(start, turned))
    nib.save(stored, tmp_path / "turned.nii.gz")
    found = read_label_map(tmp_path / "turned.nii.gz")
    for label in (2, 9):
        place_mm = LabelMap(LABELS, affine).to_mm(np.argwhere(label == LABELS))
        found_mm = found.to_mm(np.argwhere(found.labels == label))
        np.testing.assert_allclose(found_mm, place_mm, rtol=0, atol=2e-3)  # float32 in the file


@given(affines(), label_grids(np.uint8, 9), st.integers(1, 3))
def test_every_few_voxels_keeps_labels_where_they_are(affine, labels, stride):
    label_map = LabelMap(labels, affine)
    fewer = label_map.downsampled(stride)
    indices = np.argwhere(np.ones(fewer.shape, bool))
    assert fewer.labels.ravel().tolist() == labels[tuple(stride * indices.T)].tolist()
    np.testing.assert_allclose(
        fewer.to_mm(indices), label_map.to_mm(stride * indices), rtol=0, atol=1e-9
    )


def test_without_makes_labels_background():
    found = LabelMap(LABELS, OBLIQUE).without([9])
    assert found.labels.tolist() == np.where(LABELS < 9, LABELS, 0).tolist()
    assert found.labels.dtype == np.uint8
    assert found.affine is OBLIQUE


# --- names ------------------------------------------------------------------------------------


def test_ids_become_numbers_in_the_order_of_the_structures():
    labels = np.array([[[0, 500, 600, 205, 421, 420]]], np.uint16)
    named = LabelMap(labels, OBLIQUE).to_structures(label_set("mmwhs"), ("LA", "LV", "RV"), "a.nii")
    assert named.labels.tolist() == [[[0, 2, 3, 0, 1, 1]]]
    assert named.labels.dtype == np.uint8
    assert named.affine is OBLIQUE


@given(st.data())
def test_named_and_numbered_lead_to_each_other(data):
    known = label_set(data.draw(st.sampled_from(["default", "mmwhs", "acdc", "totalsegmentator"])))
    structures = tuple(data.draw(st.permutations(known.structures)))
    ids = [0, *(known.id_of(name) for name in structures)]
    shape = st.tuples(*[st.integers(1, 4)] * 3)
    labels = data.draw(
        arrays.arrays(np.uint16, shape, elements=st.sampled_from(ids)).filter(np.any)
    )
    named = LabelMap(labels, OBLIQUE).to_structures(known, structures, "a.nii")
    assert named.labels.max() <= len(structures)
    assert named.to_label_set(known, structures).labels.tolist() == labels.tolist()


def test_numbered_takes_the_smallest_type_that_holds_the_ids():
    one = LabelMap(np.array([[[0, 1, 2]]], np.uint8), OBLIQUE)
    assert one.to_label_set(label_set("default"), ("LV", "PV")).labels.dtype == np.uint8
    found = one.to_label_set(label_set("mmwhs"), ("LV", "PA")).labels
    assert found.dtype == np.uint16
    assert found.tolist() == [[[0, 500, 850]]]


def test_structures_that_were_not_asked_for_become_background():
    label_map = LabelMap(np.array([[[0, 1, 2, 3]]], np.uint8), OBLIQUE)
    found = label_map.to_structures(label_set("acdc"), ("LV",), "a.nii")
    assert found.labels.tolist() == [[[0, 0, 0, 1]]]


def test_dropped_and_other_ids_become_background():
    label_map = LabelMap(np.array([[[0, 1, 7, 52]]], np.uint8), OBLIQUE)
    total = label_map.to_structures(label_set("totalsegmentator"), ("Aorta",), "a.nii")
    assert total.labels.tolist() == [[[0, 0, 0, 1]]]
    mine = LabelSet("mine", {1: "LV"}, drop=frozenset({7, 52}))
    assert label_map.to_structures(mine, ("LV",), "a.nii").labels.tolist() == [[[0, 1, 0, 0]]]


def test_ignored_ids_become_unknown_voxels_and_stay_so():
    labels = np.zeros((6, 4, 8), np.uint16)
    labels[1:5, 1:3, 2:7], labels[2, 2, 3], labels[..., :2] = 3, 2, 255
    mine = LabelSet("mine", {2: "RV", 3: "LV"}, ignore=frozenset({255, 9}))
    found = LabelMap(labels, OBLIQUE, ("as read",)).to_structures(mine, ("LV",), "a.nii")
    assert found.labels.tolist() == (labels == 3).tolist()
    assert found.labels.dtype == np.uint8
    assert found.unknown.tolist() == (labels == 255).tolist()
    assert found.remarks == (
        "as read",
        "25.0% of the voxels have the ignored id 255: they are unknown, without surface, loss or "
        "score",
    )
    for same in (found.without([1]), found.to_structures(label_set("mnms"), ("LV",), "b.nii")):
        np.testing.assert_array_equal(same.unknown, found.unknown)
    np.testing.assert_array_equal(found.downsampled(2).unknown, (labels == 255)[::2, ::2, ::2])
    wide = found.with_unknown(labels == 2, "one more").cropped()
    assert wide.labels.tolist() == (labels == 3)[1:5, 1:3, 2:7].tolist()
    assert np.argwhere(wide.unknown).tolist() == [[1, 1, 1]]


def test_a_map_without_ignored_ids_is_known_throughout():
    mine = LabelSet("mine", {1: "LV"}, ignore=frozenset({255}))
    found = LabelMap(LABELS // LABELS.max(), OBLIQUE).to_structures(mine, ("LV",), "a.nii")
    assert (found.unknown, found.remarks) == (None, ())


def test_a_map_of_ignored_ids_alone_has_no_structure():
    mine = LabelSet("mine", {1: "LV"}, ignore=frozenset({255}))
    everywhere = LabelMap(np.full((4, 4, 4), 255, np.uint8), OBLIQUE)
    with pytest.raises(InputError, match=r"a\.nii: has none of .*LV.*ids found: \[255\]"):
        everywhere.to_structures(mine, ("LV",), "a.nii")


def test_ids_that_the_label_set_does_not_know():
    label_map = LabelMap(np.array([[[0, 1, 11, 205]]], np.uint8), OBLIQUE)
    with pytest.raises(InputError, match=r"a\.nii: ids \[11, 205\] are not in .*default.*--labels"):
        label_map.to_structures(label_set("default"), ("LV",), "a.nii")


def test_none_of_the_structures_asked_for():
    label_map = LabelMap(np.array([[[0, 1]]], np.uint8), OBLIQUE)
    with pytest.raises(InputError, match=r"a\.nii: has none of .*LV.*ids found: \[1\]"):
        label_map.to_structures(label_set("default"), ("LV",), "a.nii")


# --- real hearts ------------------------------------------------------------------------------


def test_a_hospitals_label_map(real_hearts):
    """LAS axes, int16, 512 × 512: the heart's left side lies to the patient's left."""
    path = min((real_hearts / "mmwhs").glob("*.nii.gz"))
    known = label_set("mmwhs")
    found = read_label_map(path).to_structures(known, ("LV", "RA"), str(path))
    np.testing.assert_allclose(found.spacing_mm, [0.49, 0.49, 0.63], atol=0.1)
    assert found.affine[0, 0] < 0
    lv_mm, ra_mm = (
        found.to_mm(4 * np.argwhere(found.labels[::4, ::4, ::4] == number)).mean(axis=0)
        for number in (1, 2)
    )
    assert lv_mm[0] < ra_mm[0]  # RAS: x grows to the right
