"""``--units`` and the space of inputs reach the reading of hearts."""

import importlib
from unittest.mock import Mock

import pytest
from support.command_line import run

from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.model.saved import TrainedModel


@pytest.mark.parametrize(
    ("command", "space"), [("reconstruct", "--input-space"), ("evaluate", "--space")]
)
def test_other_commands_take_units(command, space, tmp_path, monkeypatch):
    module = importlib.import_module(f"vecsetx.commands.{command}")
    finder = "evaluation.inputs" if command == "evaluate" else f"commands.{command}"
    given = []

    def find(_inputs, _labels, *options, most_voxels):
        assert most_voxels == 12345
        given.extend(options)
        raise InputError("no hearts")

    monkeypatch.setattr(f"vecsetx.{finder}.find_hearts", find)
    model = Mock(spec=TrainedModel, label_set=label_set("default"))
    monkeypatch.setattr(module, "WorkingModel", Mock(of=lambda *_: (None, model)))
    words = [command, tmp_path, "--model", tmp_path, "--out", tmp_path / "out"]
    words += [space, "ras", "--units", "cm", "--max-voxels", 12345]
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert given[:2] == ["ras", "cm"]
