"""NIfTI, NRRD and MetaImage: one content is one label map, and headers are not trusted."""

import os
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from support.affines import affines
from support.maps import LABELS, OBLIQUE, save, save_itk

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid, read_image
from vecsetx.formats.label_maps import read_label_map, write_label_map

ITK_ENDINGS = ["nrrd", "nhdr", "mha", "mhd"]
NOISE = np.random.default_rng(0).integers(0, 9, (20, 21, 22), np.uint8)


# --- formats ----------------------------------------------------------------------------------


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(affines())
def test_every_format_gives_the_same_label_map(tmp_path, affine):
    """Oblique, anisotropic and flipped; the map has a voxel that no symmetry leaves in place."""
    nifti = read_label_map(save(tmp_path / "a.nii.gz", LABELS, affine))
    for ending in ITK_ENDINGS:
        found = read_label_map(save_itk(tmp_path / f"a.{ending}", LABELS, affine))
        assert found.labels.tolist() == nifti.labels.tolist() == LABELS.tolist()
        np.testing.assert_allclose(found.affine, affine, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(found.affine, nifti.affine, rtol=1e-6, atol=1e-4)  # its float32
        shape, from_header = read_grid(tmp_path / f"a.{ending}")
        assert shape == LABELS.shape
        assert from_header.tolist() == found.affine.tolist()


@pytest.mark.parametrize("ending", ITK_ENDINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_compressed_voxels_of_any_type(tmp_path, ending, dtype, capfd):
    found = read_label_map(save_itk(tmp_path / f"a.{ending}", NOISE.astype(dtype), compressed=True))
    assert found.labels.tolist() == NOISE.tolist()
    assert found.labels.dtype == np.uint8
    assert capfd.readouterr() == ("", "")


def test_a_space_by_hand(tmp_path):
    """NRRD in RAS: the first axis to the Left at 2 mm."""
    header = (
        "NRRD0004\ntype: uchar\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 3 4\n"
        "space directions: (-2,0,0) (0,3,0) (0,0,5)\nspace origin: (100,7,-50)\nencoding: raw\n\n"
    )
    path = tmp_path / "a.nrrd"
    path.write_bytes(header.encode() + LABELS.tobytes(order="F"))
    found = read_label_map(path)
    assert found.labels.tolist() == LABELS.tolist()
    assert found.to_mm(np.array([1, 2, 3])).tolist() == [98, 13, -35]
    assert found.remarks == ()


SPACE = (
    "NRRD0004\ntype: uchar\ndimension: {n}\nspace: {space}\nsizes: {sizes}\n"
    "space directions: {directions}\nspace origin: {origin}\nencoding: raw\n\n"
)


def write_in_space(path, space):
    """NRRD with axes of 2, 3 and 5 mm; a space with time has a fourth axis of length 1."""
    timed = space.lower().endswith("-time") or space in ("RAST", "LAST", "LPST")
    fields = {
        "n": 4, "sizes": "2 3 4 1", "directions": "(2,0,0,0) (0,3,0,0) (0,0,5,0) (0,0,0,1)",
        "origin": "(100,7,-50,0)",
    } if timed else {
        "n": 3, "sizes": "2 3 4", "directions": "(2,0,0) (0,3,0) (0,0,5)", "origin": "(100,7,-50)",
    }  # fmt: skip
    path.write_bytes(SPACE.format(space=space, **fields).encode() + LABELS.tobytes(order="F"))
    return path


@pytest.mark.parametrize("space", ["3D-right-handed", "3D-left-handed", "scanner-xyz"])
@pytest.mark.parametrize("time", ["", "-time"])
def test_a_space_that_names_no_anatomy_is_told(tmp_path, space, time):
    found = read_label_map(write_in_space(tmp_path / "a.nrrd", space + time))
    assert found.remarks == (
        f"the header names the space {space}{time}, not anatomy; LPS is assumed, so left and "
        "right are a guess",
    )
    assert found.sides_guessed
    assert found.to_mm(np.array([1, 2, 3])).tolist() == [-102, -13, -35]


@pytest.mark.parametrize(
    ("spaces", "sides"),
    [
        (("right-anterior-superior", "RAS", "right-anterior-superior-time", "RAST"), (1, 1)),
        (("left-anterior-superior", "LAS", "Left-Anterior-Superior-time", "LAST"), (-1, 1)),
        (("left-posterior-superior", "LPS", "left-posterior-superior-time", "LPST"), (-1, -1)),
    ],
)
def test_every_space_that_names_anatomy(tmp_path, spaces, sides):
    """ITK alone reads those with time as LPS."""
    for space in spaces:
        found = read_label_map(write_in_space(tmp_path / "a.nrrd", space))
        right, anterior = sides
        assert found.to_mm(np.array([1, 2, 3])).tolist() == [102 * right, 13 * anterior, -35]
        assert found.labels.tolist() == LABELS.tolist()
        assert found.remarks == ()


@pytest.mark.parametrize("release", ["2.4.0", "2.5.5"])
@pytest.mark.parametrize("read", [read_label_map, read_grid])
def test_a_release_that_turns_las_wrongly_is_refused_for_it(tmp_path, monkeypatch, release, read):
    monkeypatch.setattr(sitk.Version, "VersionString", lambda: release)
    for space in ("left-anterior-superior", "LAS"):
        path = write_in_space(tmp_path / "a.nrrd", space)
        remedy = f"{path}: SimpleITK {release} turns files in .*pip install 'SimpleITK>=2.5.6'"
        with pytest.raises(InputError, match=remedy):
            read(path)
    for space in ("RAS", "LPS", "LAST", "scanner-xyz"):
        read(write_in_space(tmp_path / "a.nrrd", space))


def test_nifti_2(tmp_path):
    nib.save(nib.Nifti2Image(LABELS, OBLIQUE), tmp_path / "a.nii")
    found = read_label_map(tmp_path / "a.nii")
    assert found.labels.tolist() == LABELS.tolist()
    np.testing.assert_allclose(found.affine, OBLIQUE, rtol=1e-12)


def test_a_byte_order_that_is_not_ours(tmp_path):
    image = nib.Nifti1Image(LABELS.astype(">i2"), OBLIQUE, nib.Nifti1Header(endianness=">"))
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_label_map(tmp_path / "a.nii.gz").labels.tolist() == LABELS.tolist()


# --- remarks ----------------------------------------------------------------------------------


def conflicting(path, turn=None, shift_mm=0.0, spacing=1.0):
    """An image whose qform lies ``shift_mm`` from its sform along z."""
    image = nib.Nifti1Image(LABELS, np.diag([spacing, spacing, spacing, 1.0]))
    qform = np.diag([spacing, spacing, spacing, 1.0])
    qform[2, 3] += shift_mm
    image.set_sform(image.affine, code=1)
    image.set_qform(qform, code=1)
    nib.save(image, path)
    return path


def test_a_spacing_of_zero_is_told(tmp_path, capfd):
    """Only where it is needed; nibabel prints nothing itself."""
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(LABELS, np.diag([2.0, 2, 2, 1])), path)
    content = bytearray(path.read_bytes())
    content[80:92] = bytes(12)  # pixdim
    path.write_bytes(content)
    assert read_image(path).remarks == ()  # the sform gives the spacing
    content[252:256] = bytes(4)  # qform_code and sform_code
    path.write_bytes(content)
    found = read_image(path)
    assert found.remarks[0] == "the header gives no spacing; 1 mm is assumed where there is none"
    assert found.affine[:3, :3].tolist() == [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert capfd.readouterr() == ("", "")


def test_sform_and_qform_that_disagree(tmp_path):
    found = read_label_map(conflicting(tmp_path / "a.nii.gz", shift_mm=3.1))
    assert found.remarks == ("sform and qform disagree by up to 3.1 mm; the sform is used",)
    assert found.affine.tolist() == np.eye(4).tolist()
    assert read_label_map(conflicting(tmp_path / "b.nii.gz", shift_mm=0.05)).remarks == ()
    coarse = conflicting(tmp_path / "c.nii.gz", shift_mm=0.15, spacing=2.0)
    assert read_label_map(coarse).remarks == ()  # less than a tenth of its voxels


def test_a_mirrored_qform_is_told(tmp_path):
    image = nib.Nifti1Image(LABELS, np.diag([-1.0, 1, 1, 1]))
    image.set_sform(np.diag([-1.0, 1, 1, 1]), code=1)
    image.set_qform(np.eye(4), code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    # 2 voxels along the first axis: at most 2 mm apart
    assert "disagree by up to 2 mm" in read_label_map(tmp_path / "a.nii.gz").remarks[0]


def test_a_qform_alone_is_used(tmp_path):
    image = nib.Nifti1Image(LABELS, None)
    image.set_qform(OBLIQUE, code=1)
    image.header["sform_code"] = 0
    nib.save(image, tmp_path / "a.nii.gz")
    found = read_label_map(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(found.affine, OBLIQUE, rtol=1e-5, atol=1e-4)
    assert found.remarks == ()


def test_no_orientation_is_told(tmp_path):
    image = nib.Nifti1Image(LABELS, None)
    nib.save(image, tmp_path / "a.nii.gz")
    assert "left and right are a guess" in read_label_map(tmp_path / "a.nii.gz").remarks[0]
    header = (
        b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nspacings: 1 2 3\nencoding: raw\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header + LABELS.tobytes(order="F"))
    found = read_label_map(tmp_path / "a.nrrd")
    assert found.spacing_mm.tolist() == [1, 2, 3]
    assert "left and right are a guess" in found.remarks[0]


def test_other_units_are_told_and_remarks_stay(tmp_path):
    affine = OBLIQUE * np.array([[1000], [1000], [1000], [1]])
    found = read_label_map(save(tmp_path / "a.nii.gz", LABELS, affine, xyzt_units=3))
    assert found.remarks == ("the header gives lengths in micron; they were converted to mm",)
    known = label_set("default")
    for derived in (
        found.to_structures(known, known.structures, "a"),
        found.to_label_set(known, known.structures),
        found.without([2]),
        found.downsampled(2),
    ):
        assert derived.remarks == found.remarks


def test_a_plain_file_has_no_remarks(tmp_path):
    assert read_label_map(save(tmp_path / "a.nii.gz", LABELS)).remarks == ()
    write_label_map(LabelMap(LABELS, OBLIQUE), tmp_path / "b.nii.gz")
    assert read_label_map(tmp_path / "b.nii.gz").remarks == ()
    assert read_label_map(save_itk(tmp_path / "a.nrrd", LABELS)).remarks == ()


# --- files that cannot be used ----------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", ["nrrd", "mha"])
@pytest.mark.parametrize("cut", [1, 100, 3000])
def test_files_cut_short(tmp_path, ending, compressed, cut, capfd):
    path = save_itk(tmp_path / f"a.{ending}", NOISE, compressed=compressed)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=rf"a\.{ending}: .*truncated"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ITK_ENDINGS)
def test_damaged_voxels(tmp_path, ending, capfd):
    """ITK alone reads these without a word, half of the voxels wrong."""
    path = save_itk(tmp_path / f"a.{ending}", NOISE, compressed=True)
    data = next((f for f in tmp_path.iterdir() if "raw" in f.suffixes[-1] or "gz" in f.name), path)
    content = bytearray(data.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50] = b"\xff" * 50
    data.write_bytes(bytes(content))
    with pytest.raises(InputError, match=rf"a\.{ending}: cannot be read"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["nhdr", "mhd"])
def test_voxels_left_behind(tmp_path, ending, capfd):
    path = save_itk(tmp_path / f"a.{ending}", LABELS)
    next(tmp_path.glob("a.*raw")).unlink()
    with pytest.raises(InputError, match=r"its voxels are in a\.raw, which is missing"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ITK_ENDINGS)
def test_text_and_nothing(tmp_path, ending, capfd):
    path = tmp_path / f"a.{ending}"
    for content in ("these are no voxels", ""):
        path.write_text(content)
        with pytest.raises(InputError, match=rf"a\.{ending}: cannot be read"):
            read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["mha", "mhd"])
@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (
            "NDims",
            "4",
            r"DimSize = 2 3 4 in its header does not fit NDims = 4 \(numbers needed: 4\)",
        ),
        ("NDims", "2", "does not fit NDims = 2"),
        ("NDims", "-1", "its header gives NDims = -1, which no image has"),  # these end
        ("NDims", "99999999", "gives NDims = 99999999"),  # ITK's process
        ("DimSize", "2 3", r"DimSize = 2 3 in .* NDims = 3 \(numbers needed: 3\); repair"),
        ("DimSize", "2 3 x", "DimSize = 2 3 x in its header"),
        ("DimSize", None, "its header has no DimSize; copy or export it again"),
        ("ElementSpacing", "1 1", "ElementSpacing = 1 1 in its header"),
        ("TransformMatrix", "1 0 0 1", r"does not fit NDims = 3 \(numbers needed: 9\)"),
        ("ElementType", None, "its header has no ElementType"),
    ],
)
def test_metaimage_headers_that_contradict_themselves(tmp_path, ending, key, value, reason, capfd):
    path = save_itk(tmp_path / f"a.{ending}", LABELS)
    field = re.compile(rf"^{key} = .*\n".encode(), re.MULTILINE)
    changed = b"" if value is None else f"{key} = {value}\n".encode()
    path.write_bytes(field.sub(changed, path.read_bytes(), count=1))
    for reader in (read_image, read_grid):
        with pytest.raises(InputError, match=rf"a\.{ending}: .*{reason}"):
            reader(path)
    assert capfd.readouterr() == ("", "")


NRRD = "NRRD0004\ntype: uchar\ndimension: {}\nspace: left-posterior-superior\nsizes: {}\n"
BAD_NRRD = {
    "layers": (
        NRRD.format(4, "2 2 3 4")
        + "kinds: list domain domain domain\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\n",
        "has 2 values per voxel and describes no segments",
    ),
    "frames": (
        NRRD.format(4, "2 3 4 2").replace("space: left-posterior-superior\n", ""),
        r"3 dimensions, this image has shape \(2, 3, 4, 2\)",
    ),
    "nan": (NRRD.format(3, "2 3 4") + "space directions: (1,0,0) (0,nan,0) (0,0,1)\n", ""),
    "singular": (NRRD.format(3, "2 3 4") + "space directions: (1,0,0) (1,0,0) (0,0,1)\n", ""),
    "origin": (
        NRRD.format(3, "2 3 4")
        + "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (nan,nan,nan)\n",
        "",
    ),
    "micrometres": (
        NRRD.format(3, "2 3 4")
        + 'space directions: (1,0,0) (0,1,0) (0,0,1)\nspace units: "um" "um" "um"\n',
        "lengths in um",
    ),
}


@pytest.mark.parametrize("case", BAD_NRRD)
def test_nrrd_that_is_no_label_map(tmp_path, case, capfd):
    header, reason = BAD_NRRD[case]
    path = tmp_path / "a.nrrd"
    path.write_bytes(header.encode() + b"encoding: raw\n\n" + LABELS.tobytes() * 2)
    with pytest.raises(InputError, match=rf"(?s)a\.nrrd: .*{reason}"):
        read_label_map(path)
    assert capfd.readouterr() == ("", "")


def test_the_same_checks_in_every_format(tmp_path):
    for number, (labels, reason) in enumerate(
        [
            (LABELS.astype(np.int16) - 3, "values range from -3"),
            (LABELS + np.float32(0.5), "not whole numbers"),
            (np.where(LABELS > 0, np.nan, 0), "NaN or infinite"),
            (np.zeros_like(LABELS), "is empty"),
        ]
    ):
        for ending in ("nii.gz", "nrrd", "mha"):
            path = tmp_path / f"{number}.{ending}"
            (save if ending == "nii.gz" else save_itk)(path, labels)
            with pytest.raises(InputError, match=reason):
                read_label_map(path)


def test_a_qform_that_is_not_finite(tmp_path):
    image = nib.Nifti1Image(LABELS, np.eye(4))
    image.set_qform(np.eye(4), code=1)
    nib.save(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[256:260] = np.float32(np.nan).tobytes()  # quatern_b
    content[254:256] = (0).to_bytes(2, "little")  # sform_code
    (tmp_path / "a.nii").write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"a\.nii: "):
        read_label_map(tmp_path / "a.nii")


def test_a_file_that_may_not_be_read(tmp_path):
    """In a process of its own that cannot override permissions, as root else can."""
    path = save(tmp_path / "a.nii.gz", LABELS)
    path.chmod(0)
    program = (
        "import ctypes, os, sys\n"
        "if len(sys.argv) == 3:\n"  # without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from exec on
        "    for capability in (1, 2): ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)\n"
        "    os.execv(sys.executable, [sys.executable, '-c', sys.argv[2], sys.argv[1]])\n"
        "from pathlib import Path\n"
        "if os.access(sys.argv[1], os.R_OK): sys.exit('cannot')\n"
        "from vecsetx.formats.label_maps import read_label_map\n"
        "try: read_label_map(Path(sys.argv[1]))\n"
        "except ValueError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), program],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.stderr == "cannot\n":
        pytest.skip("the right to read everything cannot be given up here")
    assert "a.nii.gz: permission denied" in done.stdout, done.stderr


def test_a_header_that_claims_more_than_its_file_holds(tmp_path):
    """It is refused before the voxels are allocated."""
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([1000, 1000, 1000], "<i2").tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match="truncated, has 472 of 1000000352 bytes"):
        read_image(path)


def test_an_origin_beyond_any_room(tmp_path):
    affine = np.eye(4)
    affine[:3, 3] = [1e7, 0, 0]
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.uint8), affine), tmp_path / "a.nii")
    with pytest.raises(InputError, match="lies 1e\\+04 m from the scanner's origin"):
        read_image(tmp_path / "a.nii")
