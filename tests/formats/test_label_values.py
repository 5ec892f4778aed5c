"""Labels that are stored as other numbers: scaled integers, and floats that are almost whole."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from support.hearts import write_small_phantoms
from support.maps import LABELS, OBLIQUE, save, save_itk
from support.same_heart import assert_same_heart, read_heart

from vecsetx.errors import InputError
from vecsetx.formats.images import read_image
from vecsetx.formats.label_maps import read_label_map


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return write_small_phantoms(tmp_path_factory.mktemp("maps"), 1)[0]


def scaled(path, labels, affine, times, slope, inter=0.0):
    image = nib.Nifti1Image((labels * times).astype(np.int32), affine)
    image.header.set_slope_inter(slope, inter)
    nib.save(image, path)
    return path


def test_scaled_integers_are_the_heart(tmp_path, phantom):
    truth = read_heart(phantom)
    image = nib.load(phantom)
    labels = np.asarray(image.dataobj).astype(np.int32)
    for times, slope in ((36, 1 / 36), (3, 1 / 3), (7000, 1 / 7000)):
        path = scaled(tmp_path / f"{times}.nii.gz", labels, image.affine, times, slope)
        found = read_heart(path)
        assert found.labels.tolist() == truth.labels.tolist()
        assert_same_heart(found, truth)
        assert found.remarks == ()


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_floats_with_noise_are_the_heart(tmp_path, phantom, ending):
    truth = read_heart(phantom)
    image = nib.load(phantom)
    labels = np.asarray(image.dataobj)
    noise = np.random.default_rng(0).uniform(-1e-7, 1e-7, labels.shape)
    write = save if ending == "nii.gz" else save_itk
    for dtype in (np.float32, np.float64):
        path = write(tmp_path / f"{dtype.__name__}.{ending}", (labels + noise).astype(dtype),
                     image.affine)  # fmt: skip
        found = read_heart(path)
        assert found.labels.tolist() == truth.labels.tolist()
        assert_same_heart(found, truth)
        assert found.remarks == ()


def test_floats_that_simpleitk_writes(tmp_path, phantom):
    image = sitk.Cast(sitk.ReadImage(str(phantom)), sitk.sitkFloat32) + 2e-7
    for ending in ("nii.gz", "nrrd", "mha"):
        sitk.WriteImage(image, str(tmp_path / f"a.{ending}"))
        assert_same_heart(read_heart(tmp_path / f"a.{ending}"), read_heart(phantom))


@pytest.mark.parametrize("off", [9e-4, -9e-4])
def test_what_is_rounded_is_told(tmp_path, off):
    """Below 0, too: a background of −0.0009 is background."""
    found = read_label_map(save(tmp_path / "a.nii.gz", LABELS + off))
    assert found.labels.tolist() == LABELS.tolist()
    assert found.labels.dtype == np.uint8
    assert found.remarks == (
        "values lie up to 0.0009 from whole numbers, to which they were rounded",
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("high", [255, 256, 850, 8192, 16385, 40001, 65535])
def test_high_labels_as_floats(tmp_path, dtype, high):
    """From 16384 on, the next float32 is farther than 0.001: it counts as the same number."""
    labels = np.where(LABELS == 9, high, LABELS.astype(np.int32))
    values = np.where(labels == high, np.nextafter(np.float32(high), np.float32(0)), labels)
    found = read_label_map(save(tmp_path / "a.nii", values.astype(dtype)))
    assert found.labels.tolist() == labels.tolist()
    assert found.labels.dtype == (np.uint8 if high < 256 else np.uint16)
    path = scaled(tmp_path / "b.nii", labels, OBLIQUE, 36, 1 / 36)
    assert read_label_map(path).labels.tolist() == labels.tolist()
    assert found.remarks == ()


@pytest.mark.parametrize("high", [9, 850, 40001, 65535])
@pytest.mark.parametrize("off", [0.37, -0.37, 0.5, 0.02])
def test_fractions_are_refused_however_high_the_labels(tmp_path, high, off):
    values = np.where(LABELS == 9, high, LABELS + (LABELS == 2) * off)
    for path in (
        save(tmp_path / "a.nii.gz", values.astype(np.float32)),
        save(tmp_path / "b.nii.gz", values),
        scaled(tmp_path / "c.nii.gz", values, OBLIQUE, 100, 0.01),
    ):
        with pytest.raises(InputError, match=r"[abc]\.nii\.gz: has values that are not whole"):
            read_label_map(path)


@pytest.mark.parametrize(("value", "told"), [(-3, "-3 is not a label"), (-10, "like an image")])
def test_a_negative_value_is_named(tmp_path, value, told):
    values = np.where(LABELS.max() == LABELS, value, LABELS.astype(np.int16))
    with pytest.raises(InputError, match=f"range from {value} to .*65535, so .*{told}"):
        read_label_map(save(tmp_path / "a.nii.gz", values))


def test_two_thousandths_are_no_whole_number(tmp_path):
    with pytest.raises(InputError, match="not whole numbers"):
        read_label_map(save(tmp_path / "a.nii.gz", LABELS + 2e-3 * (LABELS == 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number(tmp_path, value):
    values = LABELS.astype(np.float32)
    values[0, 0, 1] = value
    with pytest.raises(InputError, match="NaN or infinite; save it as whole numbers, with 0"):
        read_label_map(save(tmp_path / "a.nii.gz", values))


def test_colours_and_complex_numbers_are_no_labels(tmp_path):
    colours = np.zeros(LABELS.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for values in (colours, LABELS.astype(np.complex64)):
        with pytest.raises(InputError, match="colours or complex numbers, not labels"):
            read_label_map(save(tmp_path / "a.nii.gz", values))


def test_scales_that_make_no_labels(tmp_path):
    for number, (slope, inter, reason) in enumerate(
        [(1 / 37, 0, "not whole"), (1, -9, "range from -9"), (4e4, 0, "labels range from 0 to")]
    ):
        path = scaled(tmp_path / f"{number}.nii.gz", LABELS, OBLIQUE, 1, slope, inter)
        with pytest.raises(InputError, match=reason):
            read_label_map(path)


def test_whole_floats_take_one_slice_of_memory(tmp_path, monkeypatch):
    """The values are neither copied nor compared as a whole."""
    import tracemalloc

    values = np.asfortranarray(np.broadcast_to(np.float32([[[0, 3, 7]]]), (64, 65, 3)))
    values = np.asfortranarray(np.repeat(values, 60, axis=2))
    path = save(tmp_path / "a.nii", values)
    image = read_image(path)
    monkeypatch.setattr("vecsetx.formats.label_maps.read_image", lambda *_: image)
    tracemalloc.start()
    found = read_label_map(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.labels.nbytes == values.size
    assert peak < found.labels.nbytes + 0.1 * values.nbytes


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_an_image_of_grey_values_is_no_label_map(tmp_path, dtype):
    """Magnetic resonance has whole numbers from 0 on, as labels have."""
    rng = np.random.default_rng(0)
    ramps = np.indices((60, 50, 40)).sum(axis=0)  # smooth, as tissue is
    image = np.where(ramps % 7 > 2, ramps + rng.integers(0, 9, ramps.shape), 0)
    assert len(np.unique(image)) > 100
    with pytest.raises(InputError, match=r"has over 50 different values.*looks like an image"):
        read_label_map(save(tmp_path / "a.nii.gz", image.astype(dtype)))


@pytest.mark.parametrize("size", [4, 5])
def test_many_small_structures_are_labels(tmp_path, size):
    blocks = np.arange(1, 10**3 + 1).reshape(10, 10, 10)
    labels = np.kron(blocks, np.ones((size,) * 3, int)).astype(np.uint16)
    found = read_label_map(save(tmp_path / "a.nii.gz", labels))
    assert len(np.unique(found.labels)) == 1000
    few = np.random.default_rng(0).integers(0, 30, (20, 20, 20), np.uint8)
    assert read_label_map(save(tmp_path / "few.nii.gz", few)).labels.any()
