"""What is observed supports what lies in it or at it."""

import numpy as np
import pytest
from support.analytic_fields import AnalyticField, ball, grid_about

from vecsetx.anatomy.frame import Frame
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.support import SUPPORT_MM, Support
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.sampling.observation import Observation

RADIUS_MM = 15.0
ALONG = np.linspace(0, 30, 301)
POINTS_MM = ALONG[:, None] * np.array([0.6, 0, 0.8])
"""From the middle of the ball outwards."""


def shown(kind: str) -> Geometry | Observation:
    if kind == "points":
        draw = np.random.default_rng(0).normal(size=(40_000, 3))
        points_mm = RADIUS_MM * draw / np.linalg.norm(draw, axis=1, keepdims=True)
        structure = np.ones(len(draw), dtype=np.int64)
        return Observation(
            points_mm.astype(np.float32), structure, None, Frame((0.0, 0.0, 0.0), 80.0)
        )
    shapes = {"LV": ball((500, 0, 0), 5), "RV": ball((0, 0, 0), RADIUS_MM)}
    scan = rasterize(AnalyticField(shapes), grid_about((0, 0, 0), np.eye(3) * 0.7, 40))
    return Geometry.of_label_map(scan, 2)


@pytest.mark.parametrize(("kind", "from_mm"), [("scan", 0), ("points", RADIUS_MM - SUPPORT_MM)])
def test_up_to_two_millimetres_beyond_the_surface(kind: str, from_mm: float) -> None:
    supports = Support(shown(kind))
    found = ALONG[supports(POINTS_MM, 1)]
    assert found.min() == pytest.approx(from_mm, abs=0.15)
    assert found.max() == pytest.approx(RADIUS_MM + SUPPORT_MM, abs=0.15)
    assert len(found) == pytest.approx((found.max() - found.min()) * 10 + 1, abs=1)  # no gap
    assert not supports(POINTS_MM, 0).any()  # a structure that is not observed supports nothing


def test_what_is_shown_ends_there_if_it_is_drawn_no_further() -> None:
    limited = Support(shown("scan"), limited=True)
    assert limited.ends(1)
    assert not limited.ends(0)  # of which nothing is shown
    assert not Support(shown("scan")).ends(1)
