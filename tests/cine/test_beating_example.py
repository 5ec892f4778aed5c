"""examples/beating.py, from a phantom to the picture."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "beating.py"


def test_the_example_draws_volumes_beside_the_true_ones(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    words = ["--out", tmp_path, "--model", trained_run, "--frames", 2, "--size", 40]
    more = ["--spacing", 3.8, "--resolution", 32]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, [*words, *more])])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert (tmp_path / "volumes.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "LV_ejection_fraction_percent: " in said
    assert "; true: 5" in said or "; true: 6" in said
    assert (tmp_path / "patient" / "heart.pvd").is_file()
