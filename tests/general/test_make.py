"""``make general``: its commands are valid, and a run that was stopped goes on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.runs import untrained
from typer.core import TyperCommand
from typer.main import get_command

from vecsetx.cli import app
from vecsetx.model import built_in
from vecsetx.model.saved import TrainedModel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run, each parsed as the command line would; nothing is done."""
    ran: list[list[str]] = []
    parsers: Any = get_command(app)

    def record(words: list[str], check: bool) -> None:
        assert check
        assert words[:3] == [sys.executable, "-m", "vecsetx"]
        parser = parsers.commands[words[3]]
        called = []
        monkeypatch.setattr(parser, "callback", lambda **_: called.append(True))
        monkeypatch.setattr(type(parser), "invoke", TyperCommand.invoke)  # loads nothing
        parser(args=words[4:], standalone_mode=False)
        assert called
        ran.append(words[3:])
        if words[3] == "phantom":
            Path(words[4]).mkdir(parents=True)
            for number in range(int(words[words.index("--count") + 1])):
                (Path(words[4]) / f"phantom{number:03d}.nii.gz").touch()

        if words[3] == "calibrate":
            (folder := Path(words[words.index("--out") + 1])).mkdir(exist_ok=True)
            found = {"factor": 2.5, "provenance": {"data": words[4], "seed": 0}}
            (folder / "calibration.json").write_text(json.dumps(found))

    monkeypatch.setattr(subprocess, "run", record)
    monkeypatch.setattr(TrainedModel, "from_pretrained", lambda _: untrained(("LV", "RV")))
    monkeypatch.syspath_prepend(ROOT / "general")
    return ran


def test_it_goes_from_phantoms_and_real_hearts_to_a_model(
    commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import make

    words = ["make.py", "--out", str(tmp_path / "out"), "--hearts", str(tmp_path), "--steps", "7"]
    monkeypatch.setattr("sys.argv", words)
    make.main()
    assert [command[0] for command in commands] == [
        *("prepare", "vary", "phantom", "prepare", "train", "calibrate")
    ]
    assert commands[4][-3:] == ["--preset", "general", "training.steps=7"]
    splits = (tmp_path / "out" / "phantoms" / "split.csv").read_text().split()
    assert splits[0] == "heart,split"
    assert [line.partition(",")[2] for line in splits[1:]] == 192 * ["train"] + 8 * ["val"]
    made = tmp_path / "out" / "built_in" / "model.json"
    assert '"data": "phantoms and real hearts (docs/model.md)"' in made.read_text()
    calibration = json.loads(made.with_name("calibration.json").read_text())
    sources = {"data": "phantoms and real hearts (docs/model.md)", "seed": 0}
    assert calibration == {"factor": 2.5, "provenance": sources}
    listed = (made.parent / "SHA256SUMS").read_text().split()[1::2]
    assert {*listed, "SHA256SUMS"} == {file.name for file in made.parent.iterdir()}
    monkeypatch.setattr(built_in, "_FOLDER", made.parent)
    assert built_in.altered_files() == {}
    # Phantoms are made once and never varied, and training goes on from its checkpoint.
    (tmp_path / "out" / "data" / "hearts").mkdir(parents=True)
    (tmp_path / "out" / "data" / "hearts" / "phantom000.safetensors").touch()
    (tmp_path / "out" / "run").mkdir()
    (tmp_path / "out" / "run" / "checkpoint.pt").touch()
    commands.clear()
    monkeypatch.setattr("sys.argv", words[:5])
    make.main()
    assert [command[0] for command in commands] == ["prepare", "prepare", "train", "calibrate"]
    assert commands[2][-1] == "--resume"
    # Without real hearts, nothing is varied either.
    commands.clear()
    monkeypatch.setattr("sys.argv", words[:3])
    make.main()
    assert [command[0] for command in commands] == ["prepare", "train", "calibrate"]
