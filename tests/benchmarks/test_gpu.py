"""The benchmark of training steps, at a hundredth of its size on a CPU."""

import json
from dataclasses import replace
from pathlib import Path

import gpu
import pytest
import torch

from vecsetx.presets import preset


def test_every_kind_of_row_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--quick", "--rows", "tiny,large,predecessor", "--json"]
    gpu.main([*words, str(tmp_path / "gpu.json")])
    found = json.loads((tmp_path / "gpu.json").read_text())
    named = {"tiny, half", "tiny, single", "large, Eikonal, recomputing", "large, Eikonal"}
    assert found["rows"].keys() == named | {"predecessor"}
    for row in found["rows"].values():
        assert row["hearts_per_s"] == pytest.approx(row["hearts"] / row["step_s"])
        assert row["model_flops_per_s"] > 0
        assert "operations" not in row
    assert found["rows"]["tiny, half"]["precision"] == "bf16"
    assert found["rows"]["predecessor"]["precision"] == "fp32"
    # The switch selects another kernel, which learns the same.
    assert 0 < found["losses"]["between_kernels"] < found["losses"]["between_seeds"]
    assert found["losses"]["deterministic"] is True
    assert "deterministic ones repeat: True" in capsys.readouterr().out


def test_operations_are_tabulated_on_request(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gpu, "losses_of_kernels", lambda quick, device: {})
    words = ["--quick", "--profile", "--rows", "predecessor", "--json", str(tmp_path / "gpu.json")]
    gpu.main(words)
    (row,) = json.loads((tmp_path / "gpu.json").read_text())["rows"].values()
    assert any("aten::" in line for line in row["operations"])


def test_what_there_is_no_time_for_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gpu, "losses_of_kernels", lambda quick, device: {})
    gpu.main(["--quick", "--minutes", "0", "--json", str(tmp_path / "gpu.json")])
    found = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert {name.partition(",")[0] for name in found} == {
        *("tiny", "small", "base", "large", "predecessor")
    }
    assert all(row == {"error": "left out: no time left"} for row in found.values())


def test_balls_have_exact_distances() -> None:
    batch = gpu.balls(replace(preset("tiny").batch, hearts=2), seed=0)
    own = batch.surface.structure[..., None]
    assert batch.surface.distances.gather(2, own).abs().max() < 1e-6
    radii = torch.arange(1, gpu.STRUCTURES + 1) / 10
    for group in batch.queries.values():
        lengths = group.points.norm(dim=-1, keepdim=True)
        torch.testing.assert_close(group.distances, lengths - radii)


def test_flops_are_those_of_the_matrix_products() -> None:
    """By hand: what one more layer of the trunk adds."""
    recipe = gpu._reduced(preset("tiny"))
    model = recipe.model
    deeper = replace(recipe, model=replace(model, layers=model.layers + 1))
    n, c, h, e = model.latents, model.width, model.heads, model.expansion
    planes = h * (c // h // 8)
    projections = c * c + c * 2 * c + (c - 3 * planes) * c + 4 * h * c
    attention = 2 * n * (c + 4 * h)
    feed_forward = c * 2 * e * c + e * c * c
    added = gpu.forward_flops(deeper) - gpu.forward_flops(recipe)
    assert added == 2 * n * (projections + attention + feed_forward)
