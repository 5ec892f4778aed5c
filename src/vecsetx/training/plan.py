"""What a recipe's training step needs on a GPU, with what is not measured, and whether it fits."""

from dataclasses import dataclass

from vecsetx.training.memory import StepMemory

__all__ = ["CONTEXT_BYTES", "FRAGMENTED_SHARE", "WAYS", "Plan", "name_of"]

_GB = 10**9

CONTEXT_BYTES = _GB
"""Assumed memory of CUDA itself, its libraries and the scratch space of their kernels."""

FRAGMENTED_SHARE = 0.05
"""Assumed memory that PyTorch's allocator holds beyond the tensors, as a share of the tensors."""

WAYS = (False, True)
"""The values of ``training.recompute``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The memory of a recipe's training step on one GPU.

    Attributes:
        hearts: Number of hearts per step.
        recompute: Whether the recipe recomputes activations.
        kept: Memory of a step that keeps all activations.
        recomputed: Memory of a step that recomputes them in the backward pass.
    """

    hearts: int
    recompute: bool
    kept: StepMemory
    recomputed: StepMemory

    def memory(self, recompute: bool) -> StepMemory:
        """Return the memory of a step with or without recomputation."""
        return self.recomputed if recompute else self.kept

    def total(self, recompute: bool) -> float:
        """Return the expected bytes on a GPU, assumed ones included."""
        peak = sum(self.memory(recompute).peak(self.hearts).values())
        return (1 + FRAGMENTED_SHARE) * peak + CONTEXT_BYTES

    def largest_batch(self, recompute: bool, gpu_bytes: float) -> int:
        """Return the largest number of hearts per step that fits on a GPU."""
        # The inverse of `total`: what is left for tensors.
        left = (gpu_bytes - CONTEXT_BYTES) / (1 + FRAGMENTED_SHARE)
        return self.memory(recompute).largest_batch(left)

    def verdict(self, gpu_bytes: float) -> str:
        """State whether the recipe fits on a GPU and, if not, what to change."""
        if self.total(self.recompute) <= gpu_bytes:
            found = self._of(self.recompute, gpu_bytes)
            return f"fits as it is (training.{name_of(self.recompute)}): {found}"
        if not self.recompute and self.total(True) <= gpu_bytes:
            return f"fits with training.recompute=true: {self._of(True, gpu_bytes)}"
        most = self.largest_batch(True, gpu_bytes)
        if most:
            advice = f"fits with training.recompute=true and batch.hearts={most}"
        else:
            advice = "not even one heart fits; lower batch.points, or use a smaller preset"
        return f"does not fit: {self._of(True, gpu_bytes)} with training.recompute=true; {advice}"

    def _of(self, recompute: bool, gpu_bytes: float) -> str:
        return f"{self.total(recompute) / _GB:.1f} GB of {gpu_bytes / _GB:g}"


def name_of(recompute: bool) -> str:
    """Return ``recompute=true`` or ``recompute=false``."""
    return f"recompute={str(recompute).lower()}"
