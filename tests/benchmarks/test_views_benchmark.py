"""The benchmark of views: standard deviations between slices, by a closed form."""

from dataclasses import replace

import numpy as np
import pytest
import pyvista
from support.ball_slices import XY, XZ, of_ball
from views import between, errors_between

from vecsetx.reconstruction.surfaces import Surface

SLICES = [of_ball(XY, (0, 0, height)) for height in (-16.0, 0.0, 16.0)]
ACROSS = replace(of_ball(XZ, (0, 5, 0)), view=1)


def sphere(radius_mm: float, sd_mm: float | None = None) -> Surface:
    mesh = pyvista.Sphere(radius=radius_mm, theta_resolution=70, phi_resolution=70)
    sds = None if sd_mm is None else np.full(mesh.n_points, sd_mm)
    return Surface(mesh.points, mesh.regular_faces.astype(np.int32), sd_mm=sds)


def test_errors_between_slices_are_those_of_two_spheres() -> None:
    true = {"LV": sphere(40.0)}
    found = errors_between({"LV": sphere(41.0, 0.4)}, true, [*SLICES, ACROSS])["LV"]
    np.testing.assert_allclose(found.error_mm, 1.0, atol=0.05)
    np.testing.assert_allclose(found.sd_mm, 0.4, atol=1e-9)
    heights_mm = true["LV"].vertices_mm[:, 2]
    from_slices_mm = np.abs(heights_mm[:, None] - [-16, 0, 16]).min(axis=1)
    kept = (np.abs(heights_mm) < 16) & (from_slices_mm > 3)
    kept &= np.abs(true["LV"].vertices_mm[:, 1] - 5) > 3
    assert 0 < kept.sum() == len(found.error_mm) < len(heights_mm)


@pytest.mark.parametrize(("sd_mm", "share"), [(0.4, 0.0), (0.6, 100.0)])
def test_shares_within_two_standard_deviations(sd_mm: float, share: float) -> None:
    scores = between({"LV": sphere(41.0, sd_mm)}, {"LV": sphere(40.0)}, SLICES)
    assert scores["between_%"] == scores["LV_%"] == share
    assert scores["sd_mm"] == pytest.approx(sd_mm)
    assert scores["rms_mm"] == pytest.approx(1.0, abs=0.05)
