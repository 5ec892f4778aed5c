"""Muon: an optimizer that orthogonalizes the momentum.

``torch.optim.Muon`` always orthogonalizes in bfloat16. On processors without bfloat16 instructions
this takes many times longer than the rest of a training step. This version works in float32, and on
all matrices of one shape at once.
"""

from collections.abc import Iterable
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Muon", "orthogonalized"]

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton–Schulz iteration; they reach singular values near 1 in few iterations."""

_ITERATIONS = 5
_MOMENTUM = 0.95
"""Share of the momentum that each step keeps; in Nesterov's form."""


class Muon(torch.optim.Optimizer):
    """Orthogonalizes the momentum of hidden matrices by a Newton–Schulz iteration.

    After Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). The
    update is scaled by ``0.2·√max(rows, columns)`` to the size of AdamW's, so that the same
    learning rates and weight decay suit both (Liu et al., "Muon is scalable for LLM training",
    arXiv 2502.16982).

    Args:
        parameters: Matrices; :class:`ValueError` for tensors of other shapes.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        f"Muon updates matrices, not tensors of shape {parameter.shape}"
                    )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            # All matrices of one shape are orthogonalized together, which is much faster.
            moving.sort(key=lambda p: tuple(p.shape))
            for shape, same in groupby(moving, key=lambda p: tuple(p.shape)):
                parameters = list(same)
                updates = orthogonalized(torch.stack(self._directions(parameters)).float())
                scale = 0.2 * max(shape) ** 0.5
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                converted = updates.to(parameters[0].dtype).unbind()
                torch._foreach_add_(parameters, converted, alpha=-group["lr"] * scale)

    def _directions(self, parameters: list[Tensor]) -> list[Tensor]:
        """Add the gradients to the momenta, and return the directions of descent."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        kept = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(kept, gradients, 1 - _MOMENTUM)
        # Nesterov: mix the gradient with the momentum that already contains it.
        return list(torch._foreach_lerp(gradients, kept, _MOMENTUM))


def orthogonalized(matrices: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """Bring the singular values of each matrix near 1 (0.7 to 1.2); keep its singular vectors.

    Five iterations of ``X ← aX + (bA + cA²)X`` with ``A = XXᵀ``, from X scaled to norm 1.
    """
    a, b, c = _COEFFICIENTS
    # Wide matrices have the smaller Gram matrix A.
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    # No singular value exceeds the Frobenius norm: all lie within the iteration's range 0…1.
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        # Inner call: bA + cA²; outer call: aX + (bA + cA²)X.
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
