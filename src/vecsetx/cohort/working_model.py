"""A model as workers share it: by its folder, the device that it runs on, and a hash."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vecsetx.errors import InputError
from vecsetx.model.saved import TrainedModel, model_folder
from vecsetx.model.weights import weights_sha256

__all__ = ["WorkingModel", "check_device"]


@dataclass(frozen=True, slots=True)
class WorkingModel:
    """A model that each worker loads once. It is small, however large the model.

    Attributes:
        folder: The model's folder, an absolute path.
        device: Where it runs: ``cpu``, ``cuda`` or, for one of several GPUs, ``cuda:1``.
        sha256: Hash of its weights and of its description, which says how they are used.
    """

    folder: Path
    device: str
    sha256: str

    @classmethod
    def of(cls, model: Path, device: str, here: bool) -> "tuple[WorkingModel, TrainedModel]":
        """Load a model for a cohort.

        Args:
            model: Folder of a run or of a saved model.
            device: Where it will run.
            here: Whether this process does the work, so that its model moves to the device.

        Returns:
            What workers get; and the model, on the device if ``here``, else on the CPU.

        Raises:
            InputError: There is no such model, or it is damaged.
        """
        trained, folder = TrainedModel.from_pretrained(model), model_folder(model).resolve()
        found = cls(folder, device, _sha256(folder, trained))
        if here:
            trained = _on_device(trained, device)
            _keep(found, trained)
        return found, trained

    def trained(self) -> TrainedModel:
        """Return the model on its device; the first call in a process loads it.

        Raises:
            InputError: The device is not there, or the folder's model is another one by now.
        """
        if self not in _kept:
            check_device(self.device)
            trained = TrainedModel.from_pretrained(self.folder)
            if _sha256(self.folder, trained) != self.sha256:
                raise InputError(
                    f"{self.folder}: the model was replaced while the command ran; run again"
                )
            _keep(self, _on_device(trained, self.device))
        return _kept[self]

    def to_dict(self) -> dict[str, str]:
        """Return plain data of all that results depend on."""
        return {"sha256": self.sha256, "device": torch.device(self.device).type}


_kept: dict[WorkingModel, TrainedModel] = {}
"""The model that this process has loaded last."""


def check_device(name: str, elsewhere: bool = False) -> None:
    """Check that a device can be used.

    Args:
        name: ``cpu``, ``cuda`` or ``cuda:1``.
        elsewhere: Whether only other machines use it, as the workers of a Dask cluster do.

    Raises:
        InputError: There is no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {name}: give cpu, cuda or, of several GPUs, cuda:1")
    if device.type == "cpu" or elsewhere:
        return
    if not (count := torch.cuda.device_count()):
        raise InputError(
            f"--device {name}: PyTorch finds no GPU on this machine; leave it out to use the CPU, "
            "or see whether nvidia-smi lists one and PyTorch was installed for it"
        )
    if (device.index or 0) >= count:
        gpus = "one GPU, cuda:0" if count == 1 else f"{count} GPUs, cuda:0 to cuda:{count - 1}"
        raise InputError(f"--device {name}: this machine has {gpus}; give one that is there")


def _keep(model: WorkingModel, trained: TrainedModel) -> None:
    _kept.clear()  # one at a time: models are large
    _kept[model] = trained


def _on_device(trained: TrainedModel, device: str) -> TrainedModel:
    return replace(trained, network=trained.network.to(device))


def _sha256(folder: Path, trained: TrainedModel) -> str:
    digest = hashlib.sha256((folder / "model.json").read_bytes())
    digest.update(weights_sha256(trained.network).encode())  # older descriptions have no hash
    return digest.hexdigest()
