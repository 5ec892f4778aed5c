"""Files that are no usable label maps: each is one error that names file and remedy."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from support.maps import LABELS, OBLIQUE, save

from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map


def gone(path):
    return "no such file; give an image as NIfTI"


def text(path):
    path.write_text("these are no voxels")
    return "cannot be read as a NIfTI image"


def nothing(path):
    path.write_bytes(b"")
    return "cannot be read as a NIfTI image"


def folder(path):
    path.mkdir()
    return "cannot be read as a NIfTI image"


def cut_short(path):
    save(path, np.random.default_rng(0).integers(0, 9, (20, 20, 20), np.uint8))
    path.write_bytes(path.read_bytes()[:-1000])
    return "cannot be read as a NIfTI image"


def cut_short_inside(path):
    whole = gzip.decompress(save(path, LABELS).read_bytes())
    path.write_bytes(gzip.compress(whole[:-5]))
    return "cannot be read as a NIfTI image"


def damaged(path):
    save(path, np.random.default_rng(0).integers(0, 9, (20, 20, 20), np.uint8))
    content = bytearray(path.read_bytes())
    content[1000:1100] = b"\xff" * 100
    path.write_bytes(bytes(content))
    return "cannot be read as a NIfTI image"


def header_cut_short(path):
    whole = gzip.decompress(save(path, LABELS).read_bytes())
    path.write_bytes(gzip.compress(whole[:200]))
    return r"truncated, has 200 of the 348 bytes of a NIfTI header; copy or export it again"


def second_header_cut_short(path):
    nib.save(nib.Nifti2Image(LABELS, OBLIQUE), path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:400]))
    return r"truncated, has 400 of the 540 bytes of a NIfTI header"


def with_magic(path, magic):
    whole = bytearray(gzip.decompress(save(path, LABELS).read_bytes()))
    whole[344:348] = magic
    path.write_bytes(gzip.compress(bytes(whole)))


def wrong_magic(path):
    with_magic(path, b"nx1\0")
    return r"not NIfTI, its header has b'nx1' in place of NIfTI's b'n\+1' or b'ni1'; copy or export"


def no_magic(path):
    with_magic(path, bytes(4))
    return r"is Analyze 7\.5, which does not say which side is left"


def strange_type(path):
    whole = bytearray(gzip.decompress(save(path, LABELS).read_bytes()))
    whole[70:72] = (999).to_bytes(2, "little")
    path.write_bytes(gzip.compress(bytes(whole)))
    return "cannot be read as a NIfTI image"


def two_dimensions(path):
    save(path, LABELS[0])
    return r"3 dimensions, this image has shape \(3, 4\); it is a single slice, so give the whole"


def four_dimensions(path):
    save(path, np.stack([LABELS, LABELS], axis=-1))
    return r"has shape \(2, 3, 4, 2\); it is a series, or has a channel per .*export one label map"


def five_dimensions(path):
    save(path, np.stack([LABELS, LABELS], axis=-1)[..., None, :])
    return r"this image has shape \(2, 3, 4, 1, 2\); it is a series, or has a channel per struct"


def fractions(path):
    save(path, LABELS + np.float32(0.25))
    return r"not whole numbers, such as \d+\.25; this is an image or a probability map"


def not_a_number(path):
    save(path, np.where(LABELS > 0, np.nan, 1.0))
    return "voxels that are NaN or infinite"


def infinite(path):
    save(path, np.where(LABELS > 0, np.inf, 1.0))
    return "voxels that are NaN or infinite"


def complex_numbers(path):
    save(path, LABELS.astype(np.complex64))
    return "colours or complex numbers"


def colours(path):
    save(path, np.zeros(LABELS.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    return "colours or complex numbers"


def negative(path):
    save(path, LABELS.astype(np.int16) - 1024)
    return "from -1024 to -1015; labels range from 0 to 65535"


def too_high(path):
    save(path, LABELS.astype(np.int32) * 10_000)
    return "from 0 to 90000; labels range from 0 to 65535"


def much_too_high(path):
    save(path, LABELS.astype(np.float64) * 1e12)
    return "from 0 to 9000000000000; labels range"


def empty(path):
    save(path, np.zeros_like(LABELS))
    return "the label map is empty"


def singular(path):
    image = nib.Nifti1Image(LABELS, None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"] = [1, 0, 0, 0], [0, 1, 0, 0]
    image.header["srow_z"] = [1, 1, 0, 0]
    nib.save(image, path)
    return "the affine is singular"


def affine_not_finite(path):
    affine = OBLIQUE.copy()
    affine[0, 3] = np.nan
    save(path, LABELS, affine)
    return "the affine is singular"


def undefined_unit(path):
    save(path, LABELS, xyzt_units=5)
    return "unit 5, which NIfTI does not define"


BAD = [
    gone, text, nothing, folder, cut_short, cut_short_inside, header_cut_short,
    second_header_cut_short, wrong_magic, no_magic, damaged, strange_type, two_dimensions,
    four_dimensions, five_dimensions, fractions, not_a_number, infinite, complex_numbers, colours,
    negative, too_high, much_too_high, empty, singular, affine_not_finite, undefined_unit,
]  # fmt: skip


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_what_cannot_be_used_is_an_input_error_that_names_the_file(tmp_path, make):
    path = tmp_path / "heart.nii.gz"
    reason = make(path)
    with pytest.raises(InputError, match=rf"(?s)heart\.nii\.gz: .*{reason}"):
        read_label_map(path)
