"""Headers that leave out what places a heart in space: each says so, whatever the format."""

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from support.hearts import write_small_phantoms
from support.maps import save, save_itk
from support.masks import write_masks
from support.same_heart import STRUCTURES, assert_same_heart, read_heart

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.missing_spacing import missing_spacing

LPS = np.diag([-1.0, -1, 1])
GUESS = "left and right are a guess"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return write_small_phantoms(tmp_path_factory.mktemp("maps"), 1)[0]


@pytest.fixture(scope="module")
def truth(phantom):
    return read_heart(phantom)


@pytest.fixture(scope="module")
def labels(phantom):
    return np.asarray(nib.load(phantom).dataobj)


def told_ml(remarks):
    (found,) = [remark for remark in remarks if "the spacing is probably missing" in remark]
    return float(found.split("together have ")[1].split(" ml")[0])


# --- no space ---------------------------------------------------------------------------------


def test_nrrd_that_pynrrd_writes(tmp_path, truth, labels):
    for space, axes in (("left-posterior-superior", LPS), ("RAS", np.eye(3))):
        header = {
            "space": space,
            "space directions": (axes @ truth.affine[:3, :3]).T,
            "space origin": axes @ truth.affine[:3, 3],
        }
        for encoding in ("gzip", "raw"):
            nrrd.write(str(tmp_path / "a.nrrd"), labels, header | {"encoding": encoding})
            found = read_heart(tmp_path / "a.nrrd")
            assert_same_heart(found, truth)
            assert found.remarks == ()
    nrrd.write(str(tmp_path / "b.nhdr"), labels, header | {"encoding": "raw"}, detached_header=True)
    assert_same_heart(read_heart(tmp_path / "b.nhdr"), truth)


def test_nrrd_without_a_space_is_read_as_lps(tmp_path, truth, labels):
    """The phantom's array runs R, A, S: turned about, it runs L, P, S as the reader assumes."""
    assert nib.aff2axcodes(truth.affine) == ("R", "A", "S")
    nrrd.write(str(tmp_path / "a.nrrd"), labels[::-1, ::-1], {"spacings": truth.spacing_mm})
    found = read_heart(tmp_path / "a.nrrd")
    assert_same_heart(found, truth, centred=True)
    assert found.remarks == (f"the header names no space; LPS is assumed, so {GUESS}",)


def test_nifti_without_forms_is_read_as_las(tmp_path, truth, labels):
    image = nib.Nifti1Image(labels[::-1], None)
    image.header.set_zooms(truth.spacing_mm)
    nib.save(image, tmp_path / "a.nii.gz")
    found = read_heart(tmp_path / "a.nii.gz")
    assert_same_heart(found, truth, centred=True)
    assert found.remarks == (
        "the header gives no orientation (neither sform nor qform); its axes are taken to run "
        f"left, anterior and superior, so {GUESS}",
    )


def test_metaimage_without_orientation(tmp_path, truth, labels):
    path = save_itk(tmp_path / "a.mhd", labels, truth.affine)
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("TransformMatrix")]
    assert len(kept) == len(lines) - 1
    path.write_text("".join(kept))
    assert read_heart(path).remarks == (
        f"the header gives no orientation; LPS is assumed, so {GUESS}",
    )


# --- no spacing -------------------------------------------------------------------------------


def test_a_spacing_that_got_lost_on_the_way(tmp_path, truth, labels):
    """The phantom's voxels of 2.4 mm, taken for 1 mm, make a heart of a fourteenth."""
    ml = np.count_nonzero(labels) / 1000
    assert 15 < ml < 60
    affine = np.diag([1.0, 1, 1, 1])
    image = nib.Nifti1Image(labels, None)
    nib.save(image, tmp_path / "forms.nii.gz")
    save(tmp_path / "a.nii.gz", labels, affine)
    save_itk(tmp_path / "b.mha", labels, affine)
    nrrd.write(str(tmp_path / "c.nrrd"), labels)
    sitk.WriteImage(sitk.GetImageFromArray(labels.transpose()), str(tmp_path / "d.nrrd"))
    masks = {n: labels == k for k, n in enumerate(STRUCTURES, start=1)}
    (tmp_path / "masks").mkdir()
    write_masks(tmp_path / "masks", affine, **masks)
    for name in ("forms.nii.gz", "a.nii.gz", "b.mha", "c.nrrd", "d.nrrd", "masks"):
        found = read_heart(tmp_path / name)
        assert told_ml(found.remarks) == pytest.approx(ml, rel=0.02)
    assert "the header gives no spacing; 1 mm is assumed" in read_heart(tmp_path / "c.nrrd").remarks
    assert read_heart(tmp_path / "a.nii.gz").remarks[1:] == ()


def test_metaimage_without_spacing(tmp_path, truth, labels):
    path = save_itk(tmp_path / "a.mhd", labels, truth.affine)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("ElementSpacing")))
    found = read_heart(path)
    assert found.remarks[0] == "the header gives no spacing; 1 mm is assumed"
    assert told_ml(found.remarks) == pytest.approx(np.count_nonzero(labels) / 1000, rel=0.02)


def test_nrrd_of_unknown_spacings(tmp_path, labels):
    """NRRD writes NaN for what is not known."""
    header = {"spacings": [2.5, np.nan, np.nan]}
    nrrd.write(str(tmp_path / "a.nrrd"), labels, header)
    remarks = read_heart(tmp_path / "a.nrrd").remarks
    assert remarks[0].startswith("the header gives spacings 2.5")
    assert remarks[0].endswith("1 mm is assumed where none is known")


def grid(ml, labels, spacing_mm=(1.0, 1.0, 1.0)):
    """A map with equal parts of these labels and this total volume."""
    each = int(ml * 1000 / np.prod(spacing_mm) / len(labels))
    values = np.zeros((60, 60, 60), np.uint8)
    for number, label in enumerate(labels):
        values.flat[number * each : (number + 1) * each] = label
    return LabelMap(values, np.diag([*spacing_mm, 1.0]))


CHAMBERS = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "Heart")


@pytest.mark.parametrize(
    ("ml", "labels", "spacing_mm", "is_told"),
    [
        (24, (1, 3), (1, 1, 1), True),
        (24, (7,), (1, 1, 1), True),
        (59, (1, 3, 5), (1, 1, 1), True),
        (24, (1, 3), (-1, -1, 1), True),  # signs are directions
        (61, (1, 3), (1, 1, 1), False),
        (24, (3,), (1, 1, 1), False),  # a ventricle alone, at the end of systole
        (24, (6,), (1, 1, 1), False),  # a vessel
        (24, (3, 6), (1, 1, 1), False),
        (24, (1, 3), (1, 1, 1.001), False),  # a small heart, of a child
        (24, (1, 3), (0.9, 0.9, 0.9), False),
        (200, (1, 3), (1, 1, 1), False),
    ],
)
def test_small_hearts_with_and_without_a_spacing(ml, labels, spacing_mm, is_told):
    label_map = grid(min(ml, 200), labels, tuple(map(abs, spacing_mm)))
    signed = LabelMap(label_map.labels, np.diag([*map(float, spacing_mm), 1.0]))
    found = missing_spacing(signed, CHAMBERS)
    assert bool(found) == is_told
    if is_told:
        assert told_ml(found) == pytest.approx(ml, rel=0.02)
