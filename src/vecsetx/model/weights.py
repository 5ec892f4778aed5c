"""A network's weights: their number, their hash, and whether a file holds the expected ones."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open

from vecsetx.errors import InputError
from vecsetx.special_files import check_no_device

__all__ = ["check_hash", "check_shapes", "parameter_count", "weights_sha256"]

_log = logging.getLogger(__name__)


def check_shapes(path: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise :class:`InputError` if the weights in a file have other names or shapes."""
    check_no_device(path)
    with safe_open(path, framework="pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise InputError(
                f"{path}: damaged model: {name} has the shape {found.get(name)}, model.json "
                f"describes {expected.get(name)}; copy both files again, or train the model again"
            )


def check_hash(path: Path, network: torch.nn.Module, expected: str | None) -> None:
    """Raise :class:`InputError` if loaded weights are not those that were saved.

    Args:
        path: Their file, for messages.
        network: The network with the weights.
        expected: Their hash; None if an earlier version saved none, which is logged.
    """
    if expected is None:
        _log.warning(
            "%s: saved by an earlier VecSetX without a hash, so damage would not be noticed; save "
            "the model again",
            path,
        )
    elif weights_sha256(network) != expected:
        raise InputError(
            f"{path}: damaged model: the weights are not those that were saved (their hash "
            f"differs from that in model.json); copy both files again, or train the model again"
        )


def parameter_count(network: torch.nn.Module) -> int:
    """Return the number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def weights_sha256(network: torch.nn.Module) -> str:
    """Return a hash of a network's weights, which identifies the trained model."""
    digest = hashlib.sha256()
    # Sorted by name, so that the order in which modules are created does not matter.
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
