"""Text that a terminal cannot show, and pipes that nobody reads, end no command."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from support.command_line import run
from support.forked import forked
from support.waiting import LONGEST_SECONDS

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
    heart = tmp_path / f"{NAME}.nii.gz"
    shutil.copy(dataset.hearts[0].source, heart)
    assert b"M??ller" in printed("inspect", heart, monkeypatch=monkeypatch)
    document = printed("inspect", heart, "--json", monkeypatch=monkeypatch)
    assert NAME in str(json.loads(document))


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


def in_surroundings(kind: str, folder: Path) -> None:
    """Print the label sets where something is missing; in a process that does nothing else."""
    from vecsetx.__main__ import main

    printed = os.open(folder / "printed", os.O_WRONLY | os.O_CREAT)
    os.dup2(printed, 2)
    os.chdir(folder)
    if kind == "no columns":
        os.dup2(printed, 1)
        os.environ["COLUMNS"] = os.environ["LINES"] = "0"
        os.environ["MPLBACKEND"] = "nonsense"
    elif kind == "closed streams":
        for number, name in enumerate(("stdin", "stdout")):
            os.close(number)
            setattr(sys, name, None)
    else:
        (folder / "gone").mkdir()
        os.chdir(folder / "gone")
        (folder / "gone").rmdir()
    sys.argv = ["vecsetx", "labels", "acdc"]
    try:
        main()
    finally:
        if kind == "closed streams":  # what is opened now has none of the streams' numbers
            assert os.open(folder / "printed", os.O_RDONLY) > 2


SURROUNDINGS = {
    "no columns": (0, "acdc"),
    "closed streams": (0, ""),
    "no folder": (2, "vecsetx: the current folder was removed; change to another one"),
}


@pytest.mark.parametrize("kind", SURROUNDINGS)
def test_poor_surroundings_end_in_no_traceback(kind: str, tmp_path: Path) -> None:
    status, told = SURROUNDINGS[kind]
    process = forked(in_surroundings, kind, tmp_path)
    process.join(LONGEST_SECONDS)
    printed = (tmp_path / "printed").read_text()
    assert process.exitcode == status, printed
    assert told in printed
    assert "Traceback" not in printed


def to_full_disk(streams: str, words: tuple[str, ...]) -> None:
    """Run a command whose streams of these names are on a full disk, in a process of its own."""
    from vecsetx.__main__ import main

    for number, name in ((1, "stdout"), (2, "stderr")):
        place = os.open("/dev/full" if name in streams else os.devnull, os.O_WRONLY)
        os.dup2(place, number)
        setattr(sys, name, os.fdopen(number, "w", closefd=False))  # as Python opens it
    sys.argv = ["vecsetx", *words]
    main()


@pytest.mark.parametrize(
    ("streams", "words", "status"),
    [
        ("stdout", ("labels", "acdc"), 2),
        ("stderr", ("labels", "acdc"), 0),
        ("stdout stderr", ("labels", "acdc"), 2),
        ("stderr", ("labels", "nothing"), 2),
        ("stdout stderr", ("labels", "nothing"), 2),
        ("stdout stderr", ("--version",), 2),
    ],
)
def test_a_full_disk_behind_the_streams_ends_in_status_2(
    streams: str, words: tuple[str, ...], status: int
) -> None:
    process = forked(to_full_disk, streams, words)
    process.join(LONGEST_SECONDS)
    assert process.exitcode == status
