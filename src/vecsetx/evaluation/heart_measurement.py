"""What a calibration measures on one heart, and as plain data for a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsetx.evaluation.calibration import VertexErrors

__all__ = ["HeartMeasurement", "errors_of_plain", "plain_errors"]


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

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which :meth:`from_dict` reads."""
        return {
            "hidden": plain_errors(self.hidden),
            "beyond": _plain(self.beyond),
            "remarks": list(self.remarks),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "HeartMeasurement":
        """Return a measurement from plain data.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: It is none.
        """
        hidden = errors_of_plain(data["hidden"])
        return cls(hidden, _errors(data["beyond"]), tuple(data["remarks"]))


def plain_errors(errors: Mapping[str, VertexErrors]) -> dict[str, Any]:
    """Return the errors of structures as plain data, which :func:`errors_of_plain` reads."""
    return {name: _plain(of_structure) for name, of_structure in errors.items()}


def errors_of_plain(data: Mapping[str, Any]) -> dict[str, VertexErrors]:
    """Return the errors of structures from plain data.

    Raises:
        TypeError, ValueError, AttributeError: It holds none.
    """
    return {name: _errors(values) for name, values in data.items()}


def _plain(errors: VertexErrors) -> list[list[float]]:
    # JSON keeps every digit of a float.
    return [errors.error_mm.tolist(), errors.sd_mm.tolist()]


def _errors(values: Any) -> VertexErrors:
    error_mm, sd_mm = (np.array(column, dtype=np.float64) for column in values)
    if error_mm.ndim != 1 or error_mm.shape != sd_mm.shape:
        raise ValueError("errors and standard deviations of other vertices")
    return VertexErrors(error_mm, sd_mm)
