"""One optimisation step: how often it waits for the device, and what ends it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.runs import RECIPE, tensors_of
from torch.utils._python_dispatch import TorchDispatchMode

from vecsetx.data.step_batches import StepBatches
from vecsetx.errors import DivergedError
from vecsetx.training.memory import zero_batch
from vecsetx.training.ranks import Ranks
from vecsetx.training.step import Stepper


class Reads(TorchDispatchMode):
    """Counts what makes the CPU wait for a GPU: numbers and sizes that depend on its results."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function.overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero):
            self.found.append(str(function))
        return function(*args, **(kwargs or {}))


def stepper(weight: float = 10.0) -> Stepper:
    """With gradient terms, learned queries, and an optimizer that reads nothing itself."""
    changes = {
        "model": {"queries": "learnable"},
        "objective": {"eikonal": 0.1, "gradient_points": 12},
    }
    recipe = RECIPE.changed(changes, "")
    objective = replace(recipe.objective, near=weight)
    torch.manual_seed(0)
    model = recipe.model.build(3).train()
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.01)]
    ranks = Ranks(0, 1, torch.device("cpu"))
    return Stepper(model, objective, optimizers, 1.0, "bf16", ranks)


def test_a_step_reads_only_its_result() -> None:
    """Which ``tolist`` gives, all at once; this mode does not see it."""
    with Reads() as reads:
        assert torch.ones(())
    assert len(reads.found) == 1  # it sees such a reading
    batch = zero_batch(RECIPE.batch, 2, 3)
    with Reads() as reads:
        result = stepper().step([batch, batch], False)
    assert reads.found == []
    assert result.terms.keys() == {"surface", "near", "volume", "inside", "eikonal"}


@pytest.mark.parametrize("weight", [float("inf"), float("nan")])
def test_a_loss_that_is_not_finite_is_raised(weight: float) -> None:
    with pytest.raises(DivergedError, match=r"the loss is (inf|nan), its gradient's norm nan"):
        stepper(weight).step([zero_batch(RECIPE.batch, 2, 3)], False)


def test_pinned_batches_hold_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinning needs a GPU; here it copies."""
    pinned: list[torch.Tensor] = []

    def pin_memory(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor.clone())
        return pinned[-1]

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    batch = zero_batch(RECIPE.batch, 2, 3)
    found = StepBatches([batch, batch], ()).pin_memory()
    for of_pass in found.batches:
        for name, tensor in tensors_of(of_pass).items():
            assert any(tensor is one for one in pinned)
            assert torch.equal(tensor, tensors_of(batch)[name])
