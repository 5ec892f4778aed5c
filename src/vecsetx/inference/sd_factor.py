"""Calibration factors of a model's standard deviations: ``calibration.json`` in its folder."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, StrictBool, StrictFloat, StrictInt, ValidationError

from vecsetx.anatomy.structures import StructureName
from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.model.saved import CALIBRATION, TrainedModel, model_folder
from vecsetx.model.weights import weights_sha256
from vecsetx.plain_data import (
    PlainDataError,
    first_problem,
    hash_of,
    parse_json,
    read_json,
    validator,
)
from vecsetx.schemas import check_schema, schema_of

__all__ = ["SdFactor", "refuse_idle_calibration", "sd_factor_of"]

_log = logging.getLogger(__name__)


_SCHEMA = 1
"""Version of ``calibration.json``; other versions are rejected."""

_HASH = "sha256"
"""Entry of ``calibration.json``: the hash of all others."""

_MOST = 1000.0
"""Largest factor, and one over it the smallest; those measured were 0.98 to 16.7."""

_Factor = Annotated[StrictFloat, Field(ge=1 / _MOST, le=_MOST)]


@dataclass(frozen=True, slots=True)
class SdFactor:
    """The calibration factors of a model, from ``vecsetx calibrate``.

    Standard deviations are the spread of an ensemble's members multiplied by a factor.

    Attributes:
        factor: The factor over all structures.
        factors: Structure → its own factor, if it was found in enough hearts; the other structures
            use ``factor``.
        cut_factor: The factor of structures that the scan cuts, whose rest beyond the edge is
            inferred. None if there were none to measure it on: then they use the structure's own.
        members: Number of ensemble members in the calibration.
        hearts_fitted: Names of the hearts whose errors gave the factors; others tested them.
        date: Date of the calibration, ISO 8601.
        few: Whether it had fewer hearts than ``vecsetx calibrate`` asks for, so that the factors
            may be far off.
        slice_factor: The factor of structures that a stack of slices shows, for their surfaces
            between slices. None if it was not measured: then they use their own.
    """

    factor: _Factor
    factors: Mapping[StructureName, _Factor]
    cut_factor: _Factor | None
    members: Annotated[StrictInt, Field(ge=1, le=10**6)]
    hearts_fitted: tuple[str, ...]
    date: str
    few: StrictBool = False
    slice_factor: _Factor | None = None

    def between_slices(self, structures: Collection[str]) -> "SdFactor":
        """Return the factors of a heart that was put together from slices.

        Args:
            structures: Those that a stack of slices shows.
        """
        if self.slice_factor is None:
            return self
        own = dict.fromkeys(structures, self.slice_factor)
        return replace(self, factors={**self.factors, **own})

    def of(self, structure: str) -> float:
        """Return the factor of a structure."""
        return self.factors.get(structure, self.factor)

    def each(
        self, structures: Sequence[str], cut: Bool[np.ndarray, " k"] | None = None
    ) -> Float[np.ndarray, " k"]:
        """Return the factors of K structures, in their order.

        Args:
            structures: K names.
            cut: Whether the scan cuts each structure; None: it cuts none.
        """
        own = np.array([self.of(name) for name in structures])
        if cut is None or self.cut_factor is None:
            return own
        return np.where(cut, self.cut_factor, own)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a summary, with the number of hearts in place of their names."""
        data = asdict(self)
        return {"hearts": len(data.pop("hearts_fitted")), **data}

    def write(self, folder: Path, trained: TrainedModel, found: dict[str, Any]) -> Path:
        """Write ``calibration.json``.

        Args:
            folder: The folder to write into.
            trained: The model, whose weights the file records by their hash.
            found: Further results for the file.

        Returns:
            The path of the file.
        """
        path = folder / CALIBRATION
        content = {
            "schema": _SCHEMA,
            **self.to_dict(),
            "hearts_fitted": self.hearts_fitted,
            "weights": weights_sha256(trained.network),
            **found,
        }
        write_json(path, content | {_HASH: hash_of(content, _HASH)})
        return path

    @classmethod
    def read(
        cls, model: Path | None, trained: TrainedModel, file: Path | None = None
    ) -> "SdFactor | None":
        """Read the factors of a model; None if it is uncalibrated.

        Args:
            model: Folder of the model, for messages; None if it is not known.
            trained: The model, with the text of its calibration.
            file: A ``calibration.json`` that takes the place of the model's own.

        Raises:
            InputError: The calibration is damaged, of another schema, or belongs to other weights.
        """
        if file is None and trained.calibration is None:
            return None
        path = file or (model_folder(model) / CALIBRATION if model else Path(CALIBRATION))
        instead = "leave --calibration out" if file else "remove the file"
        remedy = f"run vecsetx calibrate again, or {instead}"
        try:
            data = read_json(file) if file else parse_json(trained.calibration or "")
        except OSError as error:
            what = (error.strerror or str(error)).lower()
            raise InputError(f"{path}: cannot be read: {what}; {remedy}") from error
        except PlainDataError as error:
            raise InputError(f"{path}: damaged: {error}; {remedy}") from error
        check_schema(path, schema_of(data), _SCHEMA, remedy)
        try:
            weights = data["weights"]
            found = validator(SdFactor)(data)
        except (ValueError, KeyError, TypeError) as error:
            what = (
                ": ".join(first_problem(error))
                if isinstance(error, ValidationError)
                else str(error)
                if isinstance(error, ValueError)
                else repr(error)
            )
            raise InputError(f"{path}: damaged: {what}; {remedy}") from error
        # After further training, the factors need not hold any more.
        if weights != weights_sha256(trained.network):
            raise InputError(f"{path}: was measured with other weights; {remedy}")
        if data.get(_HASH, (own := hash_of(data, _HASH))) != own:
            raise InputError(f"{path}: damaged: its hash differs; {remedy}")
        return found


def sd_factor_of(
    model: Path | None, trained: TrainedModel, file: Path | None = None
) -> SdFactor | None:
    """Read the factors of a model as :meth:`SdFactor.read`.

    Logs a warning if it has none, or if they come from few hearts.
    """
    found = SdFactor.read(model, trained, file)
    if found is None:
        _log.warning("standard deviations are uncalibrated for this model; run vecsetx calibrate")
    elif found.few:
        _log.warning(
            "standard deviations are unreliable: this model was calibrated on few hearts "
            "(calibrate --few); run vecsetx calibrate on more"
        )
    return found


def refuse_idle_calibration(file: Path | None, ensemble: int) -> None:
    """Refuse a calibration of standard deviations where there are none.

    Args:
        file: The value of ``--calibration``.
        ensemble: Members of the ensemble; 0 for none.

    Raises:
        InputError: There is a calibration, but no ensemble.
    """
    if file is not None and not ensemble:
        raise InputError(
            f"--calibration {file}: scales the standard deviations of an ensemble, and there is "
            "none; add --ensemble 8, or leave it out"
        )
