"""NIfTI whatever its name says: compressed or not, in one file or in two."""

import gzip
import hashlib
import shutil

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from support.hearts import write_small_phantoms
from support.maps import LABELS, OBLIQUE, save, save_itk
from support.masks import LEFT, RIGHT
from support.same_heart import assert_same_heart, read_heart

from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.folders import stem
from vecsetx.formats.images import read_grid, read_image
from vecsetx.formats.label_maps import read_label_map

DEFAULT = label_set("default")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return write_small_phantoms(tmp_path_factory.mktemp("maps"), 1)[0]


def pair(folder, labels=LABELS, affine=OBLIQUE, name="a", kind=nib.Nifti1Pair):
    folder.mkdir(parents=True, exist_ok=True)
    nib.save(kind(labels, affine), folder / f"{name}.img")
    return folder / f"{name}.hdr", folder / f"{name}.img"


def with_simpleitk(phantom, folder):
    sitk.WriteImage(sitk.ReadImage(str(phantom)), str(folder / "a.hdr"))


def with_nibabel(phantom, folder):
    image = nib.load(phantom)
    pair(folder, np.asarray(image.dataobj), image.affine)


def with_nibabel_2(phantom, folder):
    image = nib.load(phantom)
    pair(folder, np.asarray(image.dataobj), image.affine, kind=nib.Nifti2Pair)


def big_endian(phantom, folder):
    image = nib.load(phantom)
    header = nib.nifti1.Nifti1PairHeader(endianness=">")
    labels = np.asarray(image.dataobj).astype(">i2")
    nib.save(nib.Nifti1Pair(labels, image.affine, header), folder / "a.img")


def compressed(phantom, folder):
    image = nib.load(phantom)
    nib.save(nib.Nifti1Pair(np.asarray(image.dataobj), image.affine), folder / "a.img.gz")


def half_compressed(phantom, folder):
    with_nibabel(phantom, folder)
    content = (folder / "a.img").read_bytes()
    (folder / "a.img.gz").write_bytes(gzip.compress(content))
    (folder / "a.img").unlink()


def named_as_if_not_compressed(phantom, folder):
    compressed(phantom, folder)
    for ending in ("hdr", "img"):
        (folder / f"a.{ending}.gz").rename(folder / f"a.{ending}")


def upper_case(phantom, folder):
    with_nibabel(phantom, folder)
    (folder / "a.hdr").rename(folder / "a.HDR")
    (folder / "a.img").rename(folder / "a.IMG")


PAIRS = [
    with_simpleitk, with_nibabel, with_nibabel_2, big_endian, compressed, half_compressed,
    named_as_if_not_compressed, upper_case,
]  # fmt: skip


@pytest.mark.parametrize("write", PAIRS, ids=lambda write: write.__name__)
def test_a_pair_is_one_heart_whichever_file_is_given(tmp_path, phantom, write):
    write(phantom, tmp_path)
    header, voxels = sorted(tmp_path.iterdir(), key=lambda file: file.name.lower())
    truth = read_heart(phantom)
    for given in (header, voxels, tmp_path):
        found = read_heart(given)
        assert found.labels.tolist() == truth.labels.tolist()
        assert_same_heart(found, truth)
        assert found.remarks == ()
    (heart,) = find_hearts([header, voxels, tmp_path], DEFAULT).values()
    assert heart.name == "a"
    assert heart.path == header
    assert heart.files() == tuple(sorted([header, voxels]))
    for given in (header, voxels):
        shape, affine = read_grid(given)
        assert shape == truth.shape
        np.testing.assert_allclose(affine, truth.affine, atol=1e-4)


def test_the_hash_is_of_both_files(tmp_path):
    header, voxels = pair(tmp_path)
    (heart,) = find_hearts([voxels], DEFAULT).values()
    before = heart.sha256()
    assert before == hashlib.sha256(header.read_bytes() + voxels.read_bytes()).hexdigest()
    voxels.write_bytes(voxels.read_bytes()[:-1] + b"\7")
    changed = heart.sha256()
    pair(tmp_path, affine=np.eye(4))
    assert len({before, changed, heart.sha256()}) == 3


def test_pairs_in_folders(tmp_path):
    pair(tmp_path / "cohort", name="one")
    pair(tmp_path / "cohort", name="two.final")
    save(tmp_path / "cohort" / "three.nii.gz", LABELS)
    assert list(find_hearts([tmp_path / "cohort"], DEFAULT)) == ["one", "three", "two.final"]
    pair(tmp_path / "heart", LEFT.astype(np.uint8), name="LV")
    pair(tmp_path / "heart", RIGHT.astype(np.uint8), name="RV")
    (heart,) = find_hearts([tmp_path / "heart"], DEFAULT).values()
    assert heart.kind == "masks"
    assert [file.name for file in heart.files()] == ["LV.hdr", "LV.img", "RV.hdr", "RV.img"]
    labels = heart.segmentation(("LV", "RV")).label_map.labels
    assert labels.tolist() == (LEFT + 2 * RIGHT).tolist()


def test_names_without_extensions(tmp_path):
    names = ["a.hdr", "a.img", "a.HDR.GZ", "a.img.gz", "a.nii", "a.nhdr"]
    assert [stem(tmp_path / name) for name in names] == ["a"] * 6
    assert stem(tmp_path / "patient.1.img") == "patient.1"


@pytest.mark.parametrize("ending", ["nhdr", "mhd"])
def test_voxels_of_other_formats_stay_theirs(tmp_path, ending):
    """A detached header of NRRD or MetaImage may name its voxels .img, too."""
    path = save_itk(tmp_path / f"a.{ending}", LABELS)
    raw = next(tmp_path.glob("a.*raw"))
    raw.rename(tmp_path / "a.img")
    path.write_text(path.read_text().replace(raw.name, "a.img"))
    (heart,) = find_hearts([tmp_path], DEFAULT).values()
    assert heart.path == path
    assert read_label_map(path).labels.tolist() == LABELS.tolist()


# --- names that say something else ------------------------------------------------------------


def test_gzip_data_named_nii_and_the_reverse(tmp_path, phantom):
    truth = read_heart(phantom)
    shutil.copy(phantom, tmp_path / "zipped.nii")
    (tmp_path / "plain.nii.gz").write_bytes(gzip.decompress(phantom.read_bytes()))
    for name in ("zipped.nii", "plain.nii.gz"):
        found = read_heart(tmp_path / name)
        assert found.labels.tolist() == truth.labels.tolist()
        assert_same_heart(found, truth)
        assert found.remarks == ()
        shape, affine = read_grid(tmp_path / name)
        assert shape == truth.shape
        assert affine.tolist() == truth.affine.tolist()
    twice = nib.load(phantom)
    nib.save(nib.Nifti2Image(np.asarray(twice.dataobj), twice.affine), tmp_path / "second.nii.gz")
    (tmp_path / "second.nii.gz").rename(tmp_path / "second.nii")
    assert_same_heart(read_heart(tmp_path / "second.nii"), truth)


@pytest.mark.parametrize("cut", [1, 100, 1000])
def test_gzip_data_cut_short_whatever_its_name(tmp_path, phantom, cut):
    (tmp_path / "a.nii").write_bytes(phantom.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"a\.nii: cannot be read as a NIfTI image"):
        read_image(tmp_path / "a.nii")


def test_gzip_data_that_holds_something_else(tmp_path):
    for name in ("a.nii", "b.nii.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"these are no voxels"))
        for read in (read_image, read_grid):
            with pytest.raises(InputError, match=rf"{name}: cannot be read as a NIfTI image"):
                read(tmp_path / name)


# --- pairs that cannot be used ----------------------------------------------------------------


def no_voxels(header, voxels):
    voxels.unlink()
    return r"a\.hdr: its voxels are in a\.img, which is missing; copy that file, too"


def no_header(header, voxels):
    header.unlink()
    return r"a\.img: its header is a\.hdr, which is missing; copy that file, too"


def two_of_voxels(header, voxels):
    shutil.copy(voxels, voxels.with_suffix(".img.gz"))
    return r"a\.hdr: a\.img\.gz and a\.img both belong to it; keep the right one"


def voxels_cut_short(header, voxels):
    voxels.write_bytes(voxels.read_bytes()[:-5])
    return r"a\.img: cannot be read as a NIfTI image .*has 19 of 24 bytes"


def voxels_empty(header, voxels):
    voxels.write_bytes(b"")
    return r"a\.img: cannot be read as a NIfTI image"


def analyze(header, voxels):
    image = nib.AnalyzeImage(LABELS, np.diag([1.0, 2, 3, 1]))
    nib.save(image, voxels)
    return r"a\.hdr: is Analyze 7\.5, which does not say which side is left; convert it to NIfTI"


def header_of_text(header, voxels):
    header.write_text("ENVI\nsamples = 3\nlines = 4\n")
    return r"a\.hdr: cannot be read as a NIfTI image"


def header_cut_short(header, voxels):
    header.write_bytes(header.read_bytes()[:200])
    return r"a\.hdr: truncated, has 200 of the 348 bytes of a NIfTI header"


def header_empty(header, voxels):
    header.write_bytes(b"")
    return r"a\.hdr: cannot be read as a NIfTI image"


def two_frames(header, voxels):
    nib.save(nib.Nifti1Pair(np.stack([LABELS, LABELS], -1), OBLIQUE), voxels)
    return r"a\.hdr: a label map has 3 dimensions"


BAD = [
    no_voxels, no_header, two_of_voxels, voxels_cut_short, voxels_empty, analyze, header_of_text,
    header_cut_short, header_empty, two_frames,
]  # fmt: skip


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_a_broken_pair_is_one_clear_line(tmp_path, spoil):
    reason = spoil(*pair(tmp_path))
    hearts = find_hearts([tmp_path], DEFAULT)
    assert list(hearts) == ["a"]
    with pytest.raises(InputError, match=reason) as raised:
        hearts["a"].segmentation(DEFAULT.structures)
    assert "\n" not in str(raised.value)
