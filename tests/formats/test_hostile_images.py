"""Images from strangers: what a header claims is compared with the file before it is believed."""

import bz2
import gzip
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.limited import outcomes

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.sources import LabelMapSource
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid, read_image
from vecsetx.formats.label_maps import read_label_map

LABEL_SET = LabelSet("one", {1: "LV"})
SIZE = 64
MEGABYTES = 200

LABELS = np.zeros((SIZE, SIZE, SIZE), np.uint8)
LABELS[16:48, 16:48, 16:48] = 1


def nifti(shape: tuple[int, ...] = LABELS.shape) -> bytes:
    """A NIfTI file with 64³ voxels whose header claims another number."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(LABELS.shape)
    header.set_sform(np.diag([1.5, 1.5, 1.5, 1]), "scanner")
    header["dim"][: 1 + len(shape)] = len(shape), *shape
    header["vox_offset"] = 352
    return header.binaryblock + bytes(4) + LABELS.tobytes(order="F")


def nrrd(
    shape: tuple[int, ...] = LABELS.shape,
    encoding: str = "gzip",
    more: str = "",
    kind: str = "uint8",
) -> bytes:
    """The header of an NRRD file, which may claim another size."""
    return (
        f"NRRD0004\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: "
        f"{' '.join(map(str, shape))}\nspace directions: (1.5,0,0) (0,1.5,0) (0,0,1.5)\n"
        f"kinds: domain domain domain\nencoding: {encoding}\nspace origin: (0,0,0)\n{more}\n"
    ).encode()


def meta(shape: tuple[int, ...] = LABELS.shape, data: str = "LOCAL", more: str = "") -> bytes:
    """The header of a MetaImage file."""
    return (
        f"ObjectType = Image\nNDims = 3\nDimSize = {' '.join(map(str, shape))}\n"
        "ElementType = MET_UCHAR\nElementSpacing = 1.5 1.5 1.5\nTransformMatrix = 1 0 0 0 1 0 0 0 1"
        f"\nOffset = 0 0 0\nBinaryData = True\n{more}ElementDataFile = {data}\n"
    ).encode()


def packed_meta(voxels: bytes, shape: tuple[int, ...] = LABELS.shape, size: str = "") -> bytes:
    """A MetaImage file with compressed voxels; ``size`` replaces the size of them that it gives."""
    packed = zlib.compress(voxels)
    given = size.format(len(packed) - 1) if size else f"CompressedDataSize = {len(packed)}\n"
    return meta(shape, more=f"CompressedData = True\n{given}") + packed


def bomb(head: bytes = b"") -> bytes:
    """Gzip of some bytes and 512 MB of zeros after them, without the checksum at its end."""
    packer = zlib.compressobj(1, wbits=31)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush, a block can stand anywhere.
    return start + 32 * (packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH))


VOXELS = LABELS.tobytes(order="F")
HUGE = (2000, 2000, 2000)
LARGE = (1000, 1000, 1000)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """File name → hostile file."""
    contents = {
        "claims-voxels.nii": nifti(HUGE),
        "claims-voxels.nii.gz": gzip.compress(nifti(HUGE)),
        "claims-bytes.nii.gz": gzip.compress(nifti(LARGE)),
        "claims-series.nii.gz": gzip.compress(nifti((64, 64, 64, 30000))),
        "zeros-behind.nii.gz": bomb(nifti()),
        "zeros-alone.nii.gz": bomb(),
        "claims-voxels.nrrd": nrrd(HUGE) + gzip.compress(VOXELS),
        "claims-bytes.nrrd": nrrd(LARGE) + gzip.compress(VOXELS),
        "claims-bytes-bz2.nrrd": nrrd(LARGE, "bzip2") + bz2.compress(VOXELS),
        "claims-bytes-raw.nrrd": nrrd(LARGE, "raw") + VOXELS,
        "claims-bytes-text.nrrd": nrrd(LARGE, "ascii") + b"1 " * 1000,
        "claims-behind-skip.nrrd": nrrd(LARGE, "raw", "byte skip: 10\n") + VOXELS,
        "claims-behind-skip-gz.nrrd": nrrd(LARGE, "gzip", "byte skip: 10\n")
        + gzip.compress(VOXELS),
        "zeros-behind.nrrd": nrrd() + bomb(VOXELS),
        "claims-bytes.mha": meta(LARGE) + VOXELS,
        "claims-bytes-zlib.mha": packed_meta(VOXELS, LARGE),
        "claims-voxels.mha": meta(HUGE) + VOXELS,
    }
    contents["zeros-behind-bz2.nrrd"] = nrrd(encoding="bzip2") + (
        bz2.compress(VOXELS) + 32 * bz2.compress(bytes(1 << 24))
    )
    folder = tmp_path_factory.mktemp("hostile")
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def test_no_more_memory_is_taken_than_a_file_can_hold(
    files: dict[str, Path], tmp_path: Path
) -> None:
    sound = [tmp_path / f"sound{ending}" for ending in (".nii.gz", ".nrrd", ".mha")]
    sound[0].write_bytes(gzip.compress(nifti()))
    sound[1].write_bytes(nrrd() + gzip.compress(VOXELS))
    sound[2].write_bytes(meta() + VOXELS)
    calls = [(read_label_map, (path,)) for path in (*files.values(), *sound)]
    found = outcomes(calls, MEGABYTES, [(read_label_map, (path,)) for path in sound])
    assert found[-len(sound) :] == ["read"] * len(sound)
    for (name, path), said in zip(files.items(), found, strict=False):
        assert said.startswith(f"{path}: "), name
        if "claims-voxels" in name or "series" in name:
            assert "more than the 1073741824 that are read" in said


def test_the_most_voxels_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti()))
    assert read_label_map(path, most_voxels=SIZE**3).shape == LABELS.shape
    with pytest.raises(
        InputError, match=r"64 × 64 × 64 voxels, more than the 262143 .*--max-voxels"
    ):
        read_label_map(path, most_voxels=SIZE**3 - 1)


MORE = {
    "raw.nii": lambda more: nifti() + more,
    "packed.nii.gz": lambda more: gzip.compress(nifti() + more),
    "raw.nrrd": lambda more: nrrd(encoding="raw") + VOXELS + more,
    "gzip.nrrd": lambda more: nrrd() + gzip.compress(VOXELS + more),
    "raw.mha": lambda more: meta() + VOXELS + more,
    "zlib.mha": lambda more: packed_meta(VOXELS + more),
}


@pytest.mark.parametrize("name", MORE)
def test_voxels_that_no_header_describes_are_remarked(name: str, tmp_path: Path) -> None:
    remarks = {}
    for count in (0, 1, 36):
        path = tmp_path / f"{count}-{name}"
        path.write_bytes(MORE[name](bytes(count)))
        read = read_label_map(path)
        np.testing.assert_array_equal(read.labels, LABELS)
        remarks[count] = set(read.remarks)
    for count in (1, 36):
        (said,) = remarks[count] - remarks[0]
        assert said.startswith(f"{count} bytes follow the voxels")


def test_bytes_that_a_header_skips_are_not_remarked(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(36) + VOXELS)
    path = tmp_path / "a.mhd"
    path.write_bytes(meta(data="a.raw", more="HeaderSize = 36\n"))
    read = read_label_map(path)
    np.testing.assert_array_equal(read.labels, LABELS)
    assert not any("follow the voxels" in remark for remark in read.remarks)


@pytest.mark.parametrize("size", ["CompressedDataSize = {}\n", "Comment = none\n"])
def test_compressed_voxels_of_a_wrong_size_are_refused(size: str, tmp_path: Path) -> None:
    """ITK would take whatever the memory held for voxels that it did not unpack."""
    path = tmp_path / "a.mha"
    path.write_bytes(packed_meta(VOXELS, size=size))
    given = len(zlib.compress(VOXELS)) - 1 if "{}" in size else r"\(missing\)"
    with pytest.raises(InputError, match=f"a.mha: .*CompressedDataSize {given};"):
        read_label_map(path)


# --- where voxels lie ----------------------------------------------------------------------------


def with_affine(path: Path, affine: np.ndarray) -> Path:
    header = nifti()
    rows = struct.pack("<12f", *affine[:3].ravel())
    path.write_bytes(header[:280] + rows + header[328:])
    return path


@pytest.mark.parametrize("size", [0.0, -0.0])
def test_a_qform_without_a_voxel_size_is_refused(tmp_path: Path, size: float) -> None:
    image = nib.Nifti1Image(LABELS, np.diag([1.5, 1.5, 1.5, 1]))
    image.set_qform(image.affine, 1)
    image.set_sform(None, 0)
    path = tmp_path / "a.nii"
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[84:88] = struct.pack("<f", size)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.nii: the header's qform .*correct pixdim"):
        read_image(path)
    with pytest.raises(InputError, match="correct pixdim"):
        read_grid(path)


@pytest.mark.parametrize("mm", [1e30, 1e-20, 1000.0, np.nan, np.inf, 0.001])
@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_a_grid_of_no_heart_is_refused(tmp_path: Path, mm: float, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    if ending == ".nii":
        with_affine(path, np.diag([mm, mm, mm, 1]))
    else:
        head = nrrd(encoding="raw") if ending == ".nrrd" else meta()
        path.write_bytes(head.replace(b"1.5", f"{mm:g}".encode()) + VOXELS)
    with pytest.raises(InputError, match=rf"a\{ending}: "):
        LabelMapSource("a", path, LABEL_SET).segmentation(("LV",))
    with pytest.raises(InputError, match=rf"a\{ending}: "):
        read_grid(path)


# --- voxels in other files -----------------------------------------------------------------------


def test_only_files_beside_a_header_are_read(tmp_path: Path) -> None:
    folder, other = tmp_path / "in" / "heart", tmp_path / "secret"
    folder.mkdir(parents=True)
    other.write_bytes(VOXELS)
    (folder / "link.raw").symlink_to(other)
    (tmp_path / "in" / "up.raw").write_bytes(VOXELS)
    (folder / "own.raw").write_bytes(VOXELS)
    (folder / "below").mkdir()
    (folder / "below" / "own.raw").write_bytes(VOXELS)
    outside = [
        str(other),
        "/etc/passwd",
        "../up.raw",
        "../../secret",
        "link.raw",
        "below/../../up.raw",
    ]
    for name in outside:
        for path, content in (
            (folder / "a.nhdr", nrrd(encoding="raw", more=f"data file: {name}\n")),
            (
                folder / "b.nhdr",
                nrrd(encoding="raw", more=f"datafile: own.raw\ndata file: {name}\n"),
            ),
            (folder / "c.nhdr", nrrd(encoding="raw", more=f"data file: LIST\n{name}\n")),
            (folder / "a.mhd", meta(data=name)),
            (folder / "b.mhd", meta(data=name, more="elementdatafile = own.raw\n")),
        ):
            path.write_bytes(content)
            with pytest.raises(InputError, match="outside of its folder; copy that file beside"):
                read_image(path)
    for name in ("own.raw", "below/own.raw"):
        (folder / "d.nhdr").write_bytes(nrrd(encoding="raw", more=f"data file: {name}\n"))
        np.testing.assert_array_equal(read_image(folder / "d.nhdr").values, LABELS)


def test_the_voxels_of_a_pair_lie_beside_its_header(tmp_path: Path) -> None:
    image = nib.Nifti1Pair(LABELS, np.diag([1.5, 1.5, 1.5, 1]))
    store, linked = tmp_path / "store", tmp_path / "linked"
    store.mkdir()
    linked.mkdir()
    nib.save(image, store / "a.hdr")
    (linked / "a.img").symlink_to(store / "a.img")
    (linked / "a.hdr").write_bytes((store / "a.hdr").read_bytes())
    with pytest.raises(InputError, match="outside of its folder"):
        read_image(linked / "a.hdr")
    (linked / "a.hdr").unlink()
    (linked / "a.hdr").symlink_to(store / "a.hdr")  # both lead to one folder
    np.testing.assert_array_equal(read_image(linked / "a.hdr").values, LABELS)


LONG = "x" * 4000
LINES = {
    "no field": (LONG, "line 10: has over 500 bytes"),
    "spaces": (" " * 4000 + "x", "line 10: has over 500 bytes"),
    "an unknown field": (f"{LONG}: y", "line 10: has over 500 bytes"),
    "a field's value": (f"units: {LONG}", "line 10: has over 500 bytes"),
    "a value with := in it": (f"units: {LONG} :=y", "line 10: has over 500 bytes"),
    "ends of lines for others": ("x" * 400 + "\x0b" + "x" * 400, "line 10: has over 500 bytes"),
    "a zero byte": (f"{LONG}\0:=y", "its header has a zero byte"),
    "several files": ("data file: a\n" * 9, "names its voxels' file 9 times"),
    "too many lines": ("a:=b\n" * 100_001, "its header has over 100000 lines"),
    "a comment": (f"# {LONG}", "read"),
    "for other programs": (f"Segment0_Tags:={LONG}: y", "read"),
    "a description": (f"content: {LONG}", "read"),
}


def test_lines_that_itk_would_crash_on(tmp_path: Path) -> None:
    """ITK writes beyond its buffers where it complains of a line of a thousand bytes."""
    calls = []
    for number, (line, _) in enumerate(LINES.values()):
        path = tmp_path / f"{number}.nrrd"
        path.write_bytes(nrrd(encoding="raw", more=f"{line}\n") + VOXELS)
        calls.append((read_image, (path,)))
    found = outcomes(calls, MEGABYTES, before=[(read_image, (calls[-1][1][0],))])
    for (name, (_, told)), outcome in zip(LINES.items(), found, strict=True):
        assert told in outcome, name


def test_a_path_that_itk_would_crash_on(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 200] * 6)
    folder.mkdir(parents=True)
    path = folder / "heart.nhdr"
    path.write_bytes(nrrd(encoding="raw", more="data file: heart.raw\n"))
    (folder / "heart.raw").write_bytes(VOXELS)
    (outcome,) = outcomes([(read_image, (path,))], MEGABYTES)
    assert "the path of heart.nhdr has over 500 bytes; give a shorter path" in outcome


def test_a_pattern_for_files_searches_no_subfolders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: searched.append(pattern) or [])
    path = tmp_path / "heart.nhdr"
    path.write_bytes(nrrd(encoding="raw", more="data file: %d%03d/a%d%d.raw 1 64 1\n"))
    with pytest.raises(InputError, match="which is missing"):
        read_image(path)
    assert searched == ["*/a*.raw"]  # and not **, which is every folder below


# Voxels packed to a size that the header gives, which counts for MetaImage.
PACKED = zlib.compress(VOXELS)
HEADS = {
    "NDims twice": (meta().replace(b"NDims = 3\n", b"NDims = 3\nNDims = 9999\n"), "there twice"),
    "another NDims": (meta().replace(b"NDims = 3\n", b"ndims = 3\nNDims = 9\n"), "is spelt NDims"),
    "another sign": (meta().replace(b"NDims = 3\n", b"ndims = 3\nNDims : 9\n"), "spelt NDims"),
    "only another sign": (meta().replace(b"NDims =", b"NDims :"), "is no line Key = value"),
    "spacing twice": (meta(more="ElementSpacing = 1 1 1\n"), "ElementSpacing is there twice"),
    "size twice": (meta(more="DimSize = 4 4 4\n"), "DimSize is there twice"),
    "origin twice": (meta(more="Position = 9 9 9\n"), "has Offset and Position, which mean the"),
    "turned twice": (
        meta(more="Rotation = 0 1 0 1 0 0 0 0 1\n"),
        "has TransformMatrix and Rotation, which mean",
    ),
    "cm": (meta(more="DistanceUnits = cm\n"), "gives lengths in cm, which is not supported"),
    "packed or not": (
        meta(more="compresseddata = false\nCompressedData = True\n"),
        "compresseddata is spelt CompressedData",
    ),
    "neither": (meta(more="CompressedData = T\n"), "CompressedData = T in its header is neither"),
    "sizes": (
        meta(more=f"CompressedData = True\nCompressedDataSize = {len(PACKED)}\n"
             "CompressedDataSize = 5\n"),
        "CompressedDataSize is there twice",
    ),
    "the header as voxels": (meta(more="HeaderSize = 100\n"), "HeaderSize = 100 in its header"),
    "before the file": (meta(more="HeaderSize = -2\n"), "HeaderSize = -2 in its header fits no"),
    "a long name": (meta(data="x" * 1000), "which is missing; copy that file"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADS)
def test_metaimage_headers_that_say_two_things(case: str, tmp_path: Path) -> None:
    """ITK takes the last of two fields, knows one spelling of each, and crashes on large NDims."""
    head, told = HEADS[case]
    path = tmp_path / "a.mha"
    path.write_bytes(head + (PACKED if b"ompressed" in head else VOXELS))
    for read in (read_image, read_grid):
        with pytest.raises(InputError, match=told):
            read(path)


def test_fields_for_others_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    path.write_bytes(meta(more="Comment = a\nComment = b\nDistanceUnits = mm\n\n") + VOXELS)
    np.testing.assert_array_equal(read_image(path).values, LABELS)


TEXTS = {
    "too large": ("999", "holds other numbers than its type uint8 can"),
    "negative": ("-1", "holds other numbers than its type uint8 can"),
    "a fraction": ("1.9", "holds other numbers than its type uint8 can"),
    "sound": ("1", ""),
}


@pytest.mark.parametrize("case", TEXTS)
def test_voxels_in_words(case: str, tmp_path: Path) -> None:
    word, told = TEXTS[case]
    text = " ".join(["0"] * 20 + [word] + ["0"] * 43).encode()
    path = tmp_path / "a.nrrd"
    path.write_bytes(nrrd((4, 4, 4), "text") + text)
    if told:
        with pytest.raises(InputError, match=told):
            read_image(path)
    else:
        assert read_image(path).values.sum() == 1


@pytest.mark.parametrize(
    ("key", "value"), [("byte skip", -5), ("line skip", -1), ("byteskip", "x")]
)
def test_voxels_are_not_before_the_file(key: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    path.write_bytes(nrrd(encoding="raw", more=f"{key}: {value}\n") + VOXELS)
    with pytest.raises(InputError, match="in its header fits no file of voxels"):
        read_image(path)


def test_axes_without_a_direction_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    head = nrrd(encoding="raw").replace(b"(1.5,0,0) (0,1.5,0) (0,0,1.5)", b"none none none")
    path.write_bytes(head + VOXELS)
    assert any("1 mm is assumed" in remark for remark in read_image(path).remarks)
