"""What the command ``phantom`` says."""

from pathlib import Path

import pytest
from support.command_line import run


def test_a_grid_that_cuts_phantoms_has_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("phantom", tmp_path / "out", "--count", 1, "--size", 24, "--workers", 1)
    for spacing, cuts in ((2.0, True), (5.5, False)):
        assert run(*words, "--spacing", spacing, monkeypatch=monkeypatch) == 0
        printed = capfd.readouterr().out
        assert ("a grid of 48 mm cuts these hearts" in printed) is cuts
        assert ("--spacing 5.5 shows them whole" in printed) is cuts
