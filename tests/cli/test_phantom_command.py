"""What the command ``phantom`` says."""

from pathlib import Path

import numpy as np
import pytest
from support.command_line import run

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom.grid_cuts import cut_structures
from vecsetx.anatomy.phantom.phantom_heart import STRUCTURES, PhantomHeart


@pytest.mark.parametrize("more", [(), ("--frames", 2)])
def test_a_grid_that_cuts_phantoms_has_a_warning(
    more: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("phantom", tmp_path / "out", "--count", 1, "--size", 24, "--workers", 1, *more)
    for spacing, cuts in ((2.0, True), (6.4, False)):
        assert run(*words, "--spacing", spacing, monkeypatch=monkeypatch) == 0
        printed = capfd.readouterr().out
        assert ("a grid of 48 mm cuts 1 of 1 hearts (" in printed) is cuts
        assert ("--spacing 6.4 shows them whole" in printed) is cuts


def test_the_structures_at_the_edge_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the outermost layer of voxels shows them, great vessels apart."""
    words = ("phantom", tmp_path, "--count", 2, "--size", 32, "--spacing", 4.0, "--workers", 1)
    assert run(*words, monkeypatch=monkeypatch) == 0
    printed = " ".join(capfd.readouterr().out.split())
    expected: dict[str, None] = {}
    for index in range(2):
        labels = PhantomHeart.random(np.random.default_rng([0, index])).voxelize(32, 4.0).labels
        inner = np.zeros(labels.shape, dtype=bool)
        inner[1:-1, 1:-1, 1:-1] = True
        outer = set(labels[~inner].tolist())
        expected |= {name: None for k, name in enumerate(STRUCTURES, 1) if k in outer}
    named = [name for name in expected if name not in ("Aorta", "PA", "PV")]
    assert named
    assert f"hearts ({', '.join(named)}), as" in printed


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("at", [0, -1])
def test_every_side_of_a_grid_cuts(axis: int, at: int) -> None:
    labels = np.zeros((5, 6, 7), dtype=np.uint8)
    labels[2, 2, 2] = 1 + STRUCTURES.index("LA")
    side = np.moveaxis(labels, axis, 0)
    side[at, 1, 1], side[at, 2, 2] = (1 + STRUCTURES.index(name) for name in ("RV", "Aorta"))
    assert cut_structures(LabelMap(labels, np.eye(4))) == ("RV",)
