"""Numbers too small for the usual form of a float: zero while a model trains, and only then."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.runs import RECIPE

from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.model.attention import Attention
from vecsetx.training.step import Stepper
from vecsetx.training.subnormals import subnormals_as_zero

pytestmark = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor always keeps subnormal numbers"
)


def half_of_the_least() -> float:
    return float(torch.tensor(1.2e-38) * 0.5)


def test_they_are_zero_within_and_not_after() -> None:
    assert half_of_the_least() == pytest.approx(6e-39, rel=1e-3, abs=0)
    with subnormals_as_zero():
        assert half_of_the_least() == 0
    assert half_of_the_least() > 0


def test_an_error_ends_it() -> None:
    with pytest.raises(ValueError, match="broken"), subnormals_as_zero():
        raise ValueError("broken")
    assert half_of_the_least() > 0


def test_every_step_of_a_run_has_them_as_zero(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    step = Stepper.step

    def noted(self: Stepper, *args: Any) -> Any:
        found.append(half_of_the_least())
        return step(self, *args)

    monkeypatch.setattr(Stepper, "step", noted)
    train_model(dataset.folder, tmp_path / "run", RECIPE)
    assert found == [0.0] * RECIPE.training.steps
    assert half_of_the_least() > 0


def test_attention_and_its_gradients_stay_the_same() -> None:
    """Keys so far apart that most weights are subnormal, or zero."""
    torch.manual_seed(0)
    attention = Attention(32, 4, anchored=True)
    tokens, positions = torch.randn(1, 64, 32), 8 * torch.rand(1, 64, 3)

    def gradients() -> list[torch.Tensor]:
        own = tokens.clone().requires_grad_()
        attended = attention(own, own, positions, positions)
        return [attended, *torch.autograd.grad(attended.square().sum(), [own, attention.log_alpha])]

    usual = gradients()
    with subnormals_as_zero():
        flushed = gradients()
    for one, other in zip(usual, flushed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)
