"""Factors that make a model's standard deviations right: ``calibration.json`` beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from pydantic import PositiveFloat, PositiveInt, TypeAdapter, ValidationError

from vecsetx.commands.progress import console
from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.model.saved import CALIBRATION, TrainedModel, model_folder, weights_sha256


@dataclass(frozen=True, slots=True)
class SdFactor:
    """What ``vecsetx calibrate`` found.

    Attributes:
        factor: By which the spread of the members is multiplied, found over all structures.
        factors: Structure → its own, of those that were seen in enough hearts; others take
            ``factor``.
        cut_factor: That of structures that a scan cuts, which are inferred beyond its edge; None if
            there were none to measure it on, and it is that of the structure.
        members: TrainingBatches that they were measured with.
        hearts_fitted: Names of the hearts that they were measured on; they were tried on others.
        date: When.
    """

    factor: PositiveFloat
    factors: Mapping[str, PositiveFloat]
    cut_factor: PositiveFloat | None
    members: PositiveInt
    hearts_fitted: tuple[str, ...]
    date: str

    def of(self, structure: str) -> float:
        """The factor that a structure takes."""
        return self.factors.get(structure, self.factor)

    def each(
        self, structures: Sequence[str], cut: Bool[np.ndarray, " k"] | None = None
    ) -> Float[np.ndarray, " k"]:
        """The factors that these take, in their order.

        Args:
            structures: K names.
            cut: Which of them a scan shows in part; None: none of them.
        """
        own = np.array([self.of(name) for name in structures])
        if cut is None or self.cut_factor is None:
            return own
        return np.where(cut, self.cut_factor, own)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a summary: of the hearts, their number."""
        told = asdict(self)
        return {"hearts": len(told.pop("hearts_fitted")), **told}

    def write(self, model: Path, trained: TrainedModel, found: dict[str, Any]) -> Path:
        """Write it into the model's folder.

        Args:
            model: The run's folder or the saved model's.
            trained: The model that was measured.
            found: What else there is to tell of it.

        Returns:
            The file.
        """
        path = model_folder(model) / CALIBRATION
        write_json(
            path,
            {
                **self.to_dict(),
                "hearts_fitted": self.hearts_fitted,
                "weights": weights_sha256(trained.network),
                **found,
            },
        )
        return path

    @classmethod
    def read(cls, model: Path, trained: TrainedModel) -> "SdFactor | None":
        """The factors of a model; None if nobody measured them.

        Args:
            model: Where the model is, for messages.
            trained: The model.

        Raises:
            InputError: Its calibration is damaged, or was measured with other weights.
        """
        if trained.calibration is None:
            return None
        path = model_folder(model) / CALIBRATION
        remedy = "run vecsetx calibrate again, or remove the file"
        try:
            data = json.loads(trained.calibration)
            weights = data["weights"]
            found = _ADAPTER.validate_python(data)
        except (ValueError, KeyError, TypeError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
            raise InputError(f"{path}: damaged: {what}; {remedy}") from error
        if weights != weights_sha256(trained.network):
            raise InputError(f"{path}: was measured with other weights; {remedy}")
        return found


_ADAPTER = TypeAdapter(SdFactor)


def sd_factor_of(model: Path, trained: TrainedModel) -> SdFactor | None:
    """As :meth:`SdFactor.read`; says so on the terminal if there is none."""
    found = SdFactor.read(model, trained)
    if found is None:
        console.print(
            "[yellow]standard deviations are uncalibrated: nobody measured what those of this "
            "model are worth; vecsetx calibrate does[/]"
        )
    return found
