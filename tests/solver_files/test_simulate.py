"""A solver takes meshes as written: activation and inflation against closed forms."""

import runpy
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from scipy.spatial import cKDTree
from skfem import MeshTet
from support.regions import made
from support.ventricle import INNER_MM, REGIONS, depth_of

from vecsetx.fibres.heart_fibres import heart_fibres
from vecsetx.fibres.rules import Angles
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.solver_files.vtk_xml import write_vtp, write_vtu
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.meshing import Regions

EXAMPLE = Path(__file__).parents[2] / "examples" / "simulate.py"
NAMES, IDS = ("LV", "Myocardium"), (3, 1)


@cache
def example() -> dict:
    return runpy.run_path(str(EXAMPLE))


def described(regions: Regions, edge_mm: float) -> SolverMesh:
    mesh = made(regions, edge_mm)
    interfaces = named_interfaces(facets_between(mesh), NAMES)
    found = heart_fibres(mesh, NAMES, interfaces, Angles())
    return SolverMesh(
        mesh, NAMES, IDS, interfaces, found.node_sets, found.coordinates, found.vectors
    )


def test_both_run_on_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wave arrives by the way along the wall; the ventricle grows, and its base stays."""
    whole = described(REGIONS, 1.0)
    write_vtu(whole, tmp_path / "heart.vtu")
    write_vtp(whole, tmp_path / "heart.interfaces.vtp")
    words = ["simulate.py", str(tmp_path / "heart.vtu"), "--out", str(tmp_path / "done.vtu")]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    found = pv.read(tmp_path / "done.vtu")
    own = np.isin(whole.mesh.region, [2])
    assert found.n_cells == own.sum()
    at = np.asarray(found.points, dtype=float) * [-1, -1, 1]
    # The speed lies between those across and along fibres.
    way_mm = meridian_mm(at[:, 2])
    far = way_mm > 8
    speed = way_mm[far] / found["activation_ms"][far]
    assert np.quantile(speed, 0.02) > 0.38
    assert np.quantile(speed, 0.98) < 0.65
    moved = found["displacement_mm"] * [-1, -1, 1]
    assert not moved[np.abs(at[:, 2] - 5) < 1e-3].any()
    inside = (depth_of(at) < 0.02) & (np.abs(at[:, 2]) < 4)
    outwards = at[inside] * [1, 1, 0]
    assert ((moved[inside] * outwards).sum(axis=1) > 0).all()


def meridian_mm(z: np.ndarray) -> np.ndarray:
    """Way from the inner apex along the inner surface up to a height, by summing short pieces."""
    short, long = INNER_MM
    u = np.linspace(np.pi, 0.8, 4000)
    heights = long * np.cos(u)
    ways = np.concatenate(
        [[0.0], np.cumsum(np.hypot(np.diff(short * np.sin(u)), np.diff(heights)))]
    )
    return np.interp(z, heights, ways)


def test_activation_follows_the_shortest_way() -> None:
    """At one speed, along the meridian of the inner surface."""
    whole = described(REGIONS, 1.0)
    used, corners = np.unique(whole.mesh.of_region(2), return_inverse=True)
    points, corners = whole.mesh.points_mm[used], corners.reshape(-1, 4)
    inside = depth_of(points) < 0.02
    lowest = np.flatnonzero(inside & (np.hypot(*points.T[:2]) < 0.8) & (points[:, 2] < 0))
    fibres = np.tile([1.0, 0, 0], (len(corners), 1))
    found = example()["activation_ms"](points, corners, fibres, lowest, 0.5, 0.5)
    expected = meridian_mm(points[:, 2]) / 0.5
    far = inside & (expected > 40)
    assert found[far] == pytest.approx(expected[far], rel=0.06)
    assert np.abs(found[far] / expected[far] - 1).mean() < 0.03


def test_activation_is_faster_along_fibres() -> None:
    """In a block with fibres along x, times are those of a stretched space."""
    block = MeshTet.init_tensor(*[np.arange(16.0)] * 3)
    points, corners = block.p.T, block.t.T
    start = np.flatnonzero(np.linalg.norm(points, axis=1) < 2)
    fibres = np.tile([1.0, 0, 0], (len(corners), 1))
    found = example()["activation_ms"](points, corners, fibres, start, 0.8, 0.4)
    stretched = [0.8, 0.4, 0.4]
    expected = cKDTree(points[start] / stretched).query(points / stretched)[0]
    far = expected > 10
    assert np.abs(found[far] / expected[far] - 1).mean() < 0.05
    assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_a_ball_inflates_as_lame_says() -> None:
    """A thick sphere under inner pressure, isotropic: u(r) = A r + B / r²."""

    def shell(points: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(points, axis=1)
        wall = np.maximum(radius - 10, 5 - radius)
        return np.stack([radius - 5, wall], axis=1).astype(np.float32)

    corner = np.full(3, 10.0)
    mesh = made(Regions(shell, -corner, corner), 1.0)
    used, corners = np.unique(mesh.of_region(2), return_inverse=True)
    points, corners = mesh.points_mm[used], corners.reshape(-1, 4)
    (endocardium,) = (
        interface
        for interface in named_interfaces(facets_between(mesh), NAMES)
        if interface.name == "LV endocardium"
    )
    inner = np.searchsorted(used, endocardium.facets)
    radius = np.linalg.norm(points, axis=1)
    young, poisson, pressure = example()["YOUNG_KPA"], example()["POISSON"], 0.1
    factor = pressure * 5**3 / (young * (10**3 - 5**3))
    exact = factor * ((1 - 2 * poisson) * radius + (1 + poisson) * 10**3 / (2 * radius**2))
    free = np.empty(0, dtype=np.int64)
    fibres = np.tile([1.0, 0, 0], (len(corners), 1))
    move = example()["displacement_mm"]
    found = move(points, corners, fibres, inner, free, pressure, 0.0)
    found = found - found.mean(axis=0)
    along = (found * points).sum(axis=1) / radius
    # Linear elements are a little too stiff.
    assert np.abs(along / exact - 1).mean() < 0.05
    assert along == pytest.approx(exact, rel=0.12)
