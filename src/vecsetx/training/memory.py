"""Memory of a training step, measured without computing it.

A real step (objective, backward pass, clipping, optimizers) runs on tensors that have shapes and
storages but no contents (PyTorch's ``FakeTensorMode``), so that a model of any size is measured in
seconds on any machine. Every storage counts from the operation that creates it until it is freed.

The memory after each operation is linear in the number of hearts, with coefficients that two
measurements give exactly. The peak, their maximum, is not linear: with few hearts it lies in the
optimizers' step, with many in the backward pass.

The tensors are on the CPU but are counted as on a GPU. Fused attention keeps the same tensors on
both (queries, keys, values, result and log-sum-exp). On GPUs only, norms use single precision under
autocast, anchored attention half precision, and AdamW updates all weights together; all three are
imitated here. Not counted are the workspaces of a GPU's kernels and the savings of
``training.compile``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import finalize

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vecsetx.data.batch import Batch, Queries, SurfaceQueries
from vecsetx.data.draw import BatchSpec
from vecsetx.model.attention import Attention, at_least_single
from vecsetx.training.objective import objective
from vecsetx.training.ranks import autocast
from vecsetx.training.step_spec import StepSpec

__all__ = [
    "PARTS",
    "StepMemory",
    "imitate_gpu",
    "measure",
    "trace_faked_step",
    "trace_step",
    "zero_batch",
]

PARTS = ("weights", "optimizer state", "batch", "activations kept", "gradients", "working memory")
"""The uses of memory. Activations kept are those alive between forward and backward pass."""

_WEIGHTS, _STATE, _BATCH, _KEPT, _GRADIENTS, _WORKING = range(len(PARTS))
_MEASURED_HEARTS = 2  # and one more; PyTorch treats batches of 1 specially in places


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Bytes alive at each moment of a training step: ``fixed + hearts · per_heart``.

    Attributes:
        parameters: Number of weights of the model.
        fixed: ``[moments, parts]`` what does not depend on the batch, for each of :data:`PARTS`.
        per_heart: ``[moments, parts]`` what each heart of the batch adds.
    """

    parameters: int
    fixed: Int[np.ndarray, "moments parts"]
    per_heart: Int[np.ndarray, "moments parts"]

    def peak(self, hearts: int) -> dict[str, int]:
        """Bytes of each part at the moment when their sum is largest."""
        alive = self._alive(hearts)
        return _by_part(alive[alive.sum(axis=1).argmax()])

    def most(self, hearts: int) -> dict[str, int]:
        """The largest size of each part, each at its own moment."""
        return _by_part(self._alive(hearts).max(axis=0))

    def kept_per_heart(self) -> int:
        """Bytes that each heart keeps for the backward pass."""
        return int(self.per_heart[:, _KEPT].max())

    def largest_batch(self, limit: float) -> int:
        """The largest number of hearts with a peak of at most ``limit`` bytes; 0 if none fits."""
        fixed, per_heart = self.fixed.sum(axis=1), self.per_heart.sum(axis=1)
        # Moments at which hearts add nothing must fit anyway; all others limit the hearts.
        grows = per_heart > 0
        if fixed[~grows].max(initial=0) > limit:
            return 0
        return max(0, int(((limit - fixed[grows]) // per_heart[grows]).min()))

    def _alive(self, hearts: int) -> Int[np.ndarray, "moments parts"]:
        return self.fixed + hearts * self.per_heart


def measure(step: StepSpec) -> StepMemory:
    """Measure the memory of a training step for any number of hearts, without computing it."""
    # Two points give the line fixed + hearts · per_heart of each moment.
    fewer, more = (trace_faked_step(step, _MEASURED_HEARTS + extra) for extra in (0, 1))
    if len(fewer) != len(more):
        raise RuntimeError(
            f"batches of {_MEASURED_HEARTS} and {_MEASURED_HEARTS + 1} hearts take {len(fewer)} "
            f"and {len(more)} operations; so a step's memory is not linear in its hearts"
        )
    with FakeTensorMode():
        model = step.model.build(step.structure_count)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    per_heart = more - fewer
    return StepMemory(parameters, fewer - _MEASURED_HEARTS * per_heart, per_heart)


def trace_step(step: StepSpec, hearts: int) -> Int[np.ndarray, "moments parts"]:
    """Run one training step on zeros and return the bytes alive after each of its operations.

    The optimizers take a step before, so that their state exists from the start, as in all steps
    but the first. Tensors are real unless the caller works under ``FakeTensorMode``.
    """
    ledger = _Ledger()
    with ledger:
        # 1. What exists before the step: weights, optimizer state, batch.
        model = step.model.build(step.structure_count).train()
        model.recompute = step.training.recompute
        imitate_gpu(model)
        ledger.filling = _STATE
        optimizers = _warm_optimizers(step.optimizer.build(model), model.parameters())
        ledger.filling = _BATCH
        batch = zero_batch(step.batch, hearts, step.structure_count)
        # Given, because choosing them needs real coordinates.
        anchors = torch.zeros(hearts, step.model.anchors, dtype=torch.int64)
        ledger.filling = _WORKING
        for parameter in model.parameters():
            parameter.register_post_accumulate_grad_hook(ledger.file_gradient)
        # 2. The step itself, of which every moment counts.
        ledger.moments.clear()
        precision = "fp32" if step.training.precision == "fp32" else "bf16"
        with autocast(torch.device("cpu"), precision):
            loss, terms = objective(model, batch, step.objective, anchors=anchors)
        ledger.file_kept()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), step.optimizer.clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    del terms  # as the training loop, which holds them until here
    return np.array(ledger.moments, np.int64)


def trace_faked_step(step: StepSpec, hearts: int) -> Int[np.ndarray, "moments parts"]:
    """:func:`trace_step` on tensors without contents."""
    mode = FakeTensorMode()
    # Its cache mistakes views of a tensor for whole tensors, which breaks forward-mode derivatives.
    mode.cache_enabled = not (step.objective.eikonal or step.objective.normal)
    with mode:
        return trace_step(step, hearts)


def zero_batch(spec: BatchSpec, hearts: int, structure_count: int) -> Batch:
    """A batch of zeros with the shapes and types of a drawn one."""

    def queries(count: int) -> tuple[Tensor, Tensor, Tensor]:
        distances, known = (torch.zeros(hearts, count, structure_count) for _ in range(2))
        return torch.zeros(hearts, count, 3), distances, known

    return Batch(
        points=torch.zeros(hearts, spec.points, 3),
        structure=torch.zeros(hearts, spec.points, dtype=torch.int64),
        normals=torch.zeros(hearts, spec.points, 3),
        surface=SurfaceQueries(
            *queries(spec.surface),
            structure=torch.zeros(hearts, spec.surface, dtype=torch.int64),
            normals=torch.zeros(hearts, spec.surface, 3),
        ),
        near=Queries(*queries(spec.near)),
        volume=Queries(*queries(spec.volume)),
        taught=torch.zeros(hearts, structure_count, dtype=torch.bool),
    )


class _Ledger(TorchDispatchMode):
    """Counts the bytes of all storages from the operation that creates them until they are freed.

    Attributes:
        filling: Index of the part to which new storages belong.
        alive: Bytes alive of each part.
        moments: ``alive`` after each operation that created a storage.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.filling = _WEIGHTS
        self.alive = [0] * len(PARTS)
        self.moments: list[tuple[int, ...]] = []
        self._part: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        storages = [
            leaf.untyped_storage() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)
        ]
        # Views share their storage, which counts once. An id stays unique while its storage lives.
        new = {id(storage): storage for storage in storages if id(storage) not in self._part}
        for storage in new.values():
            self._enter(storage)
        if new:
            self.moments.append(tuple(self.alive))
        return result

    def file_gradient(self, parameter: Tensor) -> None:
        """Count a weight's gradient as a gradient."""
        assert parameter.grad is not None
        storage = parameter.grad.untyped_storage()
        self._file(id(storage), storage.nbytes(), _GRADIENTS)

    def file_kept(self) -> None:
        """Count all working memory that is alive now as activations kept for the backward pass."""
        self.alive[_KEPT] += self.alive[_WORKING]
        self.alive[_WORKING] = 0
        for key, part in self._part.items():
            if part == _WORKING:
                self._part[key] = _KEPT

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        self._part[key] = self.filling
        self.alive[self.filling] += size
        # Called when the storage is freed, but not at the end of the program.
        finalize(storage, self._leave, key, size).atexit = False

    def _file(self, key: int, size: int, part: int) -> None:
        self.alive[self._part[key]] -= size
        self.alive[part] += size
        self._part[key] = part

    def _leave(self, key: int, size: int) -> None:
        self.alive[self._part.pop(key)] -= size


def imitate_gpu(model: nn.Module) -> None:
    """Let a model on the CPU compute under autocast as on an NVIDIA GPU.

    Norms then are in single precision, and anchored attention is in half.
    """

    def widen(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        if not torch.is_autocast_enabled("cpu"):
            return inputs
        return at_least_single(inputs[0]), *inputs[1:]

    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.register_forward_pre_hook(widen)
        if isinstance(module, Attention):
            module.in_half = True


def _warm_optimizers(
    optimizers: list[torch.optim.Optimizer], parameters: Iterable[Tensor]
) -> list[torch.optim.Optimizer]:
    """Let optimizers create their state, and use their GPU implementations."""
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "foreach" in group:  # AdamW's, which is off on CPUs by default
                group["foreach"] = True
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return optimizers


def _by_part(alive: Int[np.ndarray, " parts"]) -> dict[str, int]:
    return dict(zip(PARTS, map(int, alive), strict=True))
