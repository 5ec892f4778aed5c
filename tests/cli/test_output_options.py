"""``--quiet`` and ``--json``, which every command has."""

import json
import os
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer
from support.command_line import every_command, run
from support.here import work_here

from vecsetx._version import __version__
from vecsetx.cli import command_result
from vecsetx.cli.command_result import CommandResult, ended, printing
from vecsetx.commands import check as checking
from vecsetx.commands import measure, phantom
from vecsetx.commands.info import describe
from vecsetx.data.dataset import DataSet
from vecsetx.terminal.progress_bars import console, steps, waiting, warn

DOCUMENT = {"command", "version", "result", "failed"}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    work_here(monkeypatch, measure, phantom, checking)


def printed(
    *words: object, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any], str]:
    """The exit status of a command with ``--json``, its document, and what it prints besides."""
    status = run(*words, "--json", monkeypatch=monkeypatch)
    said = capfd.readouterr()
    document = json.loads(said.out)
    assert document.keys() == DOCUMENT
    assert document["version"] == __version__
    return status, document, said.err


@pytest.mark.parametrize("name", every_command())
def test_every_command_has_both_options_and_returns_a_result(name: str) -> None:
    command = every_command()[name]
    assert {"--quiet", "--json"} <= {option for each in command.params for option in each.opts}
    assert get_type_hints(command.callback)["return"] is CommandResult


def test_a_document_is_all_that_is_printed_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("labels", "acdc", monkeypatch=monkeypatch) == 0
    shown = capfd.readouterr().out
    status, document, besides = printed("labels", "acdc", monkeypatch=monkeypatch, capfd=capfd)
    assert (status, document["command"], besides) == (0, "labels", shown)
    assert document["result"]["acdc"]["ids"] == {"1": "RV", "2": "Myocardium", "3": "LV"}
    *_, besides = printed("labels", "acdc", "--quiet", monkeypatch=monkeypatch, capfd=capfd)
    assert besides == ""


def test_what_libraries_and_processes_print_does_not_spoil_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with printing(quiet=False, as_json=True):
        os.write(1, b"a library\n")
        os.system("echo a process")
        print("Python")
    ended("labels", CommandResult(lambda: 1), as_json=True)
    said = capfd.readouterr()
    assert json.loads(said.out)["result"] == 1
    assert said.err.splitlines() == ["a library", "a process", "Python"]


def test_failures_are_in_it_and_make_the_exit_status_1(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(b"no image")
    words = ("measure", dataset.hearts[0].source, damaged, "--out", tmp_path / "out")
    status, document, besides = printed(*words, monkeypatch=monkeypatch, capfd=capfd)
    assert status == 1
    assert document["result"] == json.loads((tmp_path / "out" / "measures.json").read_text())
    assert document["failed"].keys() == {"damaged"}
    assert besides.splitlines()[-1].strip() == document["failed"]["damaged"]


def test_bytes_of_names_that_are_no_text_are_readable_by_all(capfd) -> None:
    names = {os.fsdecode(name): "no heart" for name in (b"a\xff", b"a\xfe", "心🫀".encode())}
    with pytest.raises(typer.Exit):
        ended("measure", CommandResult(lambda: [*names], names), as_json=True)
    document = json.loads(capfd.readouterr().out)
    assert document["result"] == ["a\\xff", "a\\xfe", "心🫀"]
    assert [*document["failed"]] == document["result"]
    json.dumps(document, ensure_ascii=False).encode()  # which has no halves of characters


def test_of_what_is_refused_there_is_no_document(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("labels", "acdcc", "--json", monkeypatch=monkeypatch) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("vecsetx: unknown label set 'acdcc'; ")


def test_documents_say_what_commands_found(
    dataset: DataSet, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    def result(*words: object) -> Any:
        return printed(*words, monkeypatch=monkeypatch, capfd=capfd)[1]["result"]

    source, out = dataset.hearts[0].source, tmp_path / "out"
    (entry,) = result("inspect", source)["hearts"]
    assert (entry["file"], entry["status"]) == (source, "ok")
    assert result("info", trained_run) == describe(trained_run)
    assert result("check", dataset.folder, "--out", out, "--pictures", 0) == json.loads(
        (out / "check.json").read_text()
    )
    words = ("phantom", tmp_path / "maps", "--count", 1, "--size", 16, "--spacing", 8)
    assert result(*words)["files"] == [str(tmp_path / "maps" / "phantom000.nii.gz")]
    words = ("--model", trained_run, "--out", tmp_path / "r", "--resolution", 16, "--refine", 0)
    (summary,) = result("reconstruct", source, *words, "--no-page", "--no-labels")[
        "hearts"
    ].values()
    assert summary == json.loads((tmp_path / "r" / "summary.json").read_text())


def test_quiet_leaves_results_and_remarks(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("inspect", dataset.hearts[0].source)
    assert run(*words, monkeypatch=monkeypatch) == 0
    lines = capfd.readouterr().out.splitlines(keepends=True)
    assert lines[-1].startswith("next: vecsetx ")
    assert run(*words, "--quiet", monkeypatch=monkeypatch) == 0
    results = [
        each for each in lines if not each.startswith(("next: ", "loading", "inspecting hearts: "))
    ]
    assert capfd.readouterr().out == "".join(results)


@pytest.mark.parametrize(
    ("quiet", "as_json", "out", "err"),
    [
        (False, False, ["work", "notice", "result", "remark"], []),
        (True, False, ["result", "remark"], []),
        (False, True, [], ["work", "notice", "result", "remark"]),
        (True, True, [], ["remark"]),
    ],
)
def test_what_is_printed_where(
    quiet: bool, as_json: bool, out: list[str], err: list[str], capfd
) -> None:
    with printing(quiet, as_json):
        with steps("work", 1) as progress, waiting("nothing long"):
            progress.advance()
        console.notice("notice")
        console.print("result")
        warn("remark")
    said = capfd.readouterr()
    assert [line.split(":")[0] for line in said.out.splitlines()] == out
    assert [line.split(":")[0] for line in said.err.splitlines()] == err
    assert console.shown == "all"


def test_a_name_is_printed_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with printing(quiet=False, as_json=False):
        console.notice("next: vecsetx info a:cd:b")
        console.print("a:cd:b")
        warn("a:cd:b")
    assert capfd.readouterr().out == "next: vecsetx info a:cd:b\na:cd:b\na:cd:b\n"


def test_only_the_first_of_several_processes_prints(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_result, "is_first_rank", lambda: False)
    with pytest.raises(typer.Exit):
        ended("train", CommandResult(lambda: 1, fault=True), as_json=True)
    assert capfd.readouterr().out == ""
