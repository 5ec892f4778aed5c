"""4-D label maps: written and read back."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.formats.own_results import RECONSTRUCTION
from vecsetx.formats.series import read_series, write_series

AFFINE = np.array([[0.0, -1.5, 0, 10], [1.2, 0, 0, 20], [0, 0, 8.0, -30], [0, 0, 0, 1]])
NAMES, IDS = ("LV", "RV"), label_set("default")


def frames(count: int = 3) -> list[LabelMap]:
    generator = np.random.default_rng(0)
    return [
        LabelMap(generator.integers(0, 6, (5, 4, 3)).astype(np.uint8), AFFINE) for _ in range(count)
    ]


@pytest.mark.parametrize("step_ms", [133.25, None])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_what_was_written_is_read_back(step_ms: float | None, ending: str, tmp_path: Path) -> None:
    path, given = tmp_path / f"a.{ending}", frames()
    write_series(given, path, step_ms, NAMES, IDS)
    found = read_series(path)
    assert found.step_ms == step_ms
    assert len(found.remarks) == (step_ms is None)
    for one, other in zip(found.frames, given, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.affine, AFFINE, atol=1e-5)
        assert one.names is not None
        assert one.names.structures() == {IDS.id_of(name): name for name in NAMES}
        assert one.remarks == ()
    image = nib.load(path)
    assert image.shape == (5, 4, 3, 3)
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize(
    ("step_ms", "count", "odd"),
    [
        (5.0, 40, False),
        (500.0, 6, False),
        (4.9, 60, True),  # the step
        (501.0, 3, True),
        (66.0, 3, True),  # the cycle
        (101.0, 30, True),
        (30_000.0, 2, True),
        (0.03, 2, True),
    ],
)
def test_times_that_no_heart_has_get_a_remark(
    step_ms: float, count: int, odd: bool, tmp_path: Path
) -> None:
    write_series(frames(count), tmp_path / "a.nii", step_ms, NAMES, IDS)
    found = read_series(tmp_path / "a.nii")
    assert found.step_ms == pytest.approx(step_ms)
    assert len(found.remarks) == odd
    if odd:
        told = f"its header gives {step_ms:g} ms from frame to frame, so {count * step_ms:g} ms for"
        assert found.remarks[0].startswith(told)


def test_a_reconstruction_says_that_it_is_one(tmp_path: Path) -> None:
    write_series(frames(), tmp_path / "a.nii", 10.0, NAMES, IDS, is_reconstruction=True)
    assert any(
        RECONSTRUCTION in remark for remark in read_series(tmp_path / "a.nii").frames[0].remarks
    )


def test_values_that_are_no_labels_are_refused_in_any_frame(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 4, 3), dtype=np.float32)
    values[1, 1, 1, 2] = 0.5
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"a\.nii: has values that are not whole numbers"):
        read_series(tmp_path / "a.nii")


def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_series(frames(), path, 10.0, NAMES, IDS)
    content = bytearray(path.read_bytes())
    content[48:50] = (30_000).to_bytes(2, "little")  # the length of the fourth axis
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.nii: .*truncated"):
        read_series(path)
    with pytest.raises(InputError, match="claims"):
        read_series(path, most_voxels=10_000)
