"""Text that a terminal cannot show, and pipes that nobody reads, end no command."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from support.command_line import run

from vecsetx.data.dataset import DataSet
from vecsetx.terminal.progress_bars import console

NAME = "Mü²ller"


def printed(*words: object, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What a command prints on a terminal that knows only ASCII; it ends well."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", errors="strict", write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        assert run(*words, monkeypatch=patch) == 0
    return written.getvalue()


def test_names_are_shown_as_far_as_the_terminal_can(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart, report = tmp_path / f"{NAME}.nii.gz", tmp_path / "report.json"
    shutil.copy(dataset.hearts[0].source, heart)
    words = ("inspect", heart, "--json", report)
    assert b"M??ller" in printed(*words, monkeypatch=monkeypatch)
    assert NAME in str(json.loads(report.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["data set", "run"])
def test_descriptions_are_shown_as_far_as_the_terminal_can(
    name: str,
    dataset: DataSet,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / NAME
    shutil.copytree(trained_run if name == "run" else dataset.folder, place)
    assert b"M??ller" in printed("info", place, monkeypatch=monkeypatch)


@pytest.mark.parametrize("words", [("labels",), ("labels", "mmwhs"), ("inspect", "{heart}")])
def test_a_reader_that_has_gone_is_no_error(
    words: tuple[str, ...], dataset: DataSet, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patch, os.fdopen(writer, "w", encoding="utf-8") as stream:
        patch.setattr("sys.stdout", stream)
        patch.setattr(console, "quiet", False)  # Rich prints nothing more once a reader has gone
        heart = dataset.hearts[0].source
        status = run(*(word.format(heart=heart) for word in words), monkeypatch=patch)
    console._buffer.clear()  # what the reader did not get; a command would end here
    assert status in (0, 1)
    assert "Error" not in capsys.readouterr().err
