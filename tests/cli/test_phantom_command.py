"""What the command ``phantom`` says."""

from pathlib import Path

import pytest
from support.command_line import run


def test_a_grid_that_cuts_phantoms_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("phantom", tmp_path / "out", "--count", 1, "--size", 24, "--workers", 1)
    for spacing, told in ((2.0, True), (5.5, False)):
        assert run(*words, "--spacing", spacing, monkeypatch=monkeypatch) == 0
        said = capfd.readouterr().out
        assert ("a grid of 48 mm cuts these hearts" in said) is told
        assert ("--spacing 5.5 shows them whole" in said) is told
