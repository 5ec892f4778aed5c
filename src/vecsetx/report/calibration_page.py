"""The page of a calibration: its figures and tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecsetx.evaluation.calibration import EXPECTED, MULTIPLES
from vecsetx.report.calibration_figure import coverage_figure, reliability_figure
from vecsetx.report.template import write_page


def write_calibration_page(path: Path, found: Mapping[str, Any]) -> None:
    """Write the page of a calibration.

    Args:
        path: The page.
        found: As in ``calibration.json``.
    """
    drawn = {"as drawn": found["before"], "calibrated": found["after"]}
    write_page(
        path,
        "calibration.html.jinja",
        title="How sure the model is",
        found=found,
        drawn=drawn,
        multiples=list(zip(MULTIPLES, EXPECTED, strict=True)),
        data={"plots": {"coverage": coverage_figure(drawn), "bins": reliability_figure(drawn)}},
    )
