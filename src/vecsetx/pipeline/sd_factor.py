"""The factor that makes a model's standard deviations right: ``calibration.json`` beside it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.model.saved import TrainedModel, model_folder

_FILE = "calibration.json"


@dataclass(frozen=True, slots=True)
class SdFactor:
    """What ``vecsetx calibrate`` found.

    Attributes:
        factor: By which the spread of the draws is multiplied.
        draws: Draws that it was measured with.
        hearts: Hearts that it was measured on; it was tried on others.
        date: When.
    """

    factor: PositiveFloat
    draws: PositiveInt
    hearts: PositiveInt
    date: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a summary."""
        return asdict(self)

    def write(self, model: Path, trained: TrainedModel, found: dict[str, Any]) -> Path:
        """Write it into the model's folder.

        Args:
            model: The run's folder or the saved model's.
            trained: The model that was measured.
            found: What else there is to tell of it.

        Returns:
            The file.
        """
        path = model_folder(model) / _FILE
        write_json(path, {**asdict(self), "weights": weights_sha256(trained), **found})
        return path

    @classmethod
    def read(cls, model: Path, trained: TrainedModel) -> "SdFactor | None":
        """The factor of a model; None if nobody measured it.

        Raises:
            InputError: The file is damaged, or was measured with other weights.
        """
        path = model_folder(model) / _FILE
        if not path.exists():
            return None
        remedy = "run vecsetx calibrate again, or remove the file"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            weights = data["weights"]
            found = _ADAPTER.validate_python(data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
            raise InputError(f"{path}: damaged: {what}; {remedy}") from error
        if weights != weights_sha256(trained):
            raise InputError(f"{path}: was measured with other weights; {remedy}")
        return found


_ADAPTER = TypeAdapter(SdFactor)


def weights_sha256(trained: TrainedModel) -> str:
    """Hash of a model's weights: a model trained on is another."""
    digest = hashlib.sha256()
    for name, tensor in sorted(trained.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
