"""The benchmark of the chambers' spread."""

import json
from pathlib import Path

import proportions
import pytest


def test_right_and_wrong_spacings_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spread.json"
    words = ["proportions", "--phantoms", "2", "--real", str(tmp_path / "none")]
    monkeypatch.setattr("sys.argv", [*words, "--json", str(file)])
    proportions.main()
    (row,) = json.loads(file.read_text()).values()
    assert (row["hearts"], row["false"]) == (2, 0)
    assert 0.4 < row["low"] < 1 < row["high"] < 1.9
    counts = [row[str(factor)] for factor in proportions.FACTORS]
    assert 6 >= counts[0] >= counts[1] > 0 < counts[2] <= counts[3] <= 6
    assert f"{counts[0]} / 6" in capsys.readouterr().out
