"""Errors of hearts that a calibration has measured, kept in files until it is complete.

Measuring a heart takes minutes. A calibration that was killed reads what it has measured and goes
on with the other hearts; the result is the same.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.evaluation.calibration import VertexErrors
from vecsetx.files import write_json
from vecsetx.plain_data import read_json

__all__ = ["HeartMeasurement", "KeptErrors"]


@dataclass(frozen=True, slots=True)
class HeartMeasurement:
    """What a calibration measures on one heart.

    Attributes:
        hidden: Structure → errors when that structure is hidden.
        beyond: Errors beyond a plane that cuts the heart.
        remarks: Notes for the user on the heart's source.
    """

    hidden: dict[str, VertexErrors]
    beyond: VertexErrors
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptErrors:
    """A folder with a file per heart.

    Attributes:
        folder: The folder, which exists only while a calibration is incomplete.
        setting: Plain data of all that a measurement depends on, except for the heart.
    """

    folder: Path
    setting: Mapping[str, Any]

    def read(self, heart: Mapping[str, Any]) -> HeartMeasurement | None:
        """Return the measurement of a heart; None if there is none that fits.

        Args:
            heart: Plain data that identify the heart and its shape, ``name`` included.
        """
        try:
            data = read_json(self._file(heart))
            if data["key"] != self._key(heart):
                return None
            hidden = {name: _errors(values) for name, values in data["hidden"].items()}
            return HeartMeasurement(hidden, _errors(data["beyond"]), tuple(data["remarks"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # missing or damaged: the heart is measured again

    def write(self, heart: Mapping[str, Any], found: HeartMeasurement) -> None:
        """Keep the measurement of a heart, completely or not at all."""
        write_json(
            self._file(heart),
            {
                "key": self._key(heart),
                "hidden": {name: _plain(errors) for name, errors in found.hidden.items()},
                "beyond": _plain(found.beyond),
                "remarks": list(found.remarks),
            },
        )

    def remove(self) -> None:
        """Remove all measurements."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, heart: Mapping[str, Any]) -> Path:
        # Names of hearts may hold any sign.
        return self.folder / f"{sha256(str(heart['name']).encode()).hexdigest()[:16]}.json"

    def _key(self, heart: Mapping[str, Any]) -> str:
        text = json.dumps([self.setting, heart], sort_keys=True)
        return sha256(text.encode()).hexdigest()


def _plain(errors: VertexErrors) -> list[list[float]]:
    # JSON keeps every digit of a float.
    return [errors.error_mm.tolist(), errors.sd_mm.tolist()]


def _errors(values: Any) -> VertexErrors:
    error_mm, sd_mm = (np.array(column, dtype=np.float64) for column in values)
    return VertexErrors(error_mm, sd_mm)
