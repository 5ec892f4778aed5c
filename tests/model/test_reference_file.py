"""The reference heart's file: read as it was written, and refused if it is damaged."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.runs import untrained

from vecsetx.errors import InputError
from vecsetx.geometry.pose import POINTS, ReferenceHeart
from vecsetx.model.reference_file import read_reference, write_reference
from vecsetx.model.saved import TrainedModel

POINTS_MM = np.random.default_rng(0).normal(0, 40, (20, 3)).astype(np.float32)


def test_a_model_comes_back_with_its_reference_heart(tmp_path: Path) -> None:
    pose = ReferenceHeart({"LV": POINTS_MM, "RV": POINTS_MM[:9] + 3})
    replace(untrained(("LV", "RV")), pose=pose).save_pretrained(tmp_path)
    found = TrainedModel.from_pretrained(tmp_path).pose
    assert found
    assert {n: p.tolist() for n, p in found.points_mm.items()} == {
        n: p.tolist() for n, p in pose.points_mm.items()
    }
    content = bytearray((tmp_path / "pose.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "pose.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"pose\.safetensors: .*its hash differs"):
        TrainedModel.from_pretrained(tmp_path)
    (tmp_path / "pose.safetensors").unlink()
    with pytest.raises(InputError, match=r"pose\.safetensors: .*No such file"):
        TrainedModel.from_pretrained(tmp_path)
    # A model that turns nothing does not read what another one left there.
    write_reference(tmp_path / "pose.safetensors", pose)
    untrained(("LV", "RV")).save_pretrained(tmp_path)
    assert TrainedModel.from_pretrained(tmp_path).pose is None


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"../LV": POINTS_MM}, "'../LV' of shape"),
        ({"LV": POINTS_MM[:, :2]}, r"'LV' of shape \(20, 2\)"),
        ({"LV": POINTS_MM[:0]}, r"'LV' of shape \(0, 3\)"),
        ({"LV": np.zeros((POINTS + 1, 3), np.float32)}, rf"'LV' of shape \({POINTS + 1}, 3\)"),
        ({"LV": POINTS_MM * np.float32(np.nan)}, "not within 1000 mm"),
        ({"LV": POINTS_MM * 1000}, "not within 1000 mm"),
        ({"LV": POINTS_MM.astype(np.float64)}, "not within 1000 mm"),
    ],
    ids=["name", "columns", "none", "many", "nan", "far", "double"],
)
def test_what_is_no_reference_heart_is_refused(
    tensors: dict[str, np.ndarray], why: str, tmp_path: Path
) -> None:
    content = save({name: np.ascontiguousarray(points) for name, points in tensors.items()})
    (tmp_path / "pose.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=rf"pose\.safetensors: .*{why}"):
        read_reference(tmp_path / "pose.safetensors", hashlib.sha256(content).hexdigest())
