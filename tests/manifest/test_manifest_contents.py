"""``manifest.json``: what is written is read again, nothing else is, and it stays small."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.errors import InputError
from vecsetx.files import write_text
from vecsetx.manifest import contents
from vecsetx.manifest.contents import MANIFEST, CommandRun, InputFile, Manifest, ModelFile

HASH = "0123456789abcdef" * 4
RUN = CommandRun(
    command="vecsetx measure 'my maps' --out out",
    current_folder="/home/someone",
    vecsetx="0.1.0",
    python="3.11.7",
    platform="Linux",
    packages={"torch": "2.13.0", "vtk": None},
    seed=3,
    inputs=(InputFile("/maps/Möller–心.nii.gz", 17, 1_796_079_105_972_461_139, HASH),),
    inputs_left_out=0,
    models=(ModelFile("built-in", None),),
    started="2026-11-30T22:51:34.683829+00:00",
    seconds=1.25,
    state="finished",
    exit_status=0,
)


def with_inputs(number: int, name: str = "") -> CommandRun:
    return replace(RUN, command=name, inputs=RUN.inputs * number)


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(texts, texts, st.integers(0, 2**63), st.floats(0, 1e9), st.none() | st.integers(0, 255))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    command: str,
    path: str,
    size: int,
    seconds: float,
    status: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("out")
    file = replace(RUN.inputs[0], path=path, bytes=size)
    run = replace(RUN, command=command, inputs=(file,), seconds=seconds, exit_status=status)
    Manifest().with_run(RUN).with_run(run).write(folder)
    assert Manifest.read(folder) == Manifest(runs=(RUN,) if run == RUN else (RUN, run))
    assert [each.name for each in folder.iterdir()] == [MANIFEST]


def test_a_folder_without_one_has_no_runs(tmp_path: Path) -> None:
    assert Manifest.read(tmp_path) == Manifest()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"more": 1}, "(more: is unknown)"),
        ({"runs": [1]}, "(runs.0: must be a table)"),
        ({"runs": [{}]}, "runs.0.command: is missing"),
        ({"runs_left_out": -1}, "runs_left_out: must be at least 0"),
        ({"runs": [asdict(RUN) | {"state": "odd"}]}, "runs.0.state"),
        ({"runs": [asdict(RUN) | {"started": "yesterday"}]}, "runs.0.started"),
        ({"runs": [asdict(RUN) | {"seconds": -1}]}, "runs.0.seconds"),
        ({"runs": [asdict(RUN) | {"models": [{"name": "a", "sha256": "0"}]}]}, "sha256"),
    ],
)
def test_a_strict_reader_refuses_the_rest(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    write_text(tmp_path / MANIFEST, json.dumps(asdict(Manifest(runs=(RUN,)))))
    assert Manifest.read(tmp_path).runs == (RUN,)  # the change alone makes the difference
    write_text(tmp_path / MANIFEST, json.dumps(asdict(Manifest(runs=(RUN,))) | change))
    with pytest.raises(InputError) as refused:
        Manifest.read(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / MANIFEST}: no manifest that this VecSetX ")
    assert told in str(refused.value)


def test_a_later_one_asks_for_a_later_program(tmp_path: Path) -> None:
    write_text(tmp_path / MANIFEST, json.dumps(asdict(Manifest(runs=(RUN,))) | {"schema": 2}))
    with pytest.raises(InputError, match=r"schema 2, this version reads 1: a later VecSetX than"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "NaN", "[" * 100_000])
def test_what_is_no_manifest_is_refused(text: str, tmp_path: Path) -> None:
    write_text(tmp_path / MANIFEST, text)
    with pytest.raises(InputError, match="move it away, or choose another --out"):
        Manifest.read(tmp_path)


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(InputError, match=r"can read \(Is a directory\); move it away, or choose "):
        Manifest.read(tmp_path)


def test_only_the_newest_runs_are_kept() -> None:
    manifest = Manifest()
    for number in range(contents.MOST_RUNS + 3):
        manifest = manifest.with_run(with_inputs(1, str(number)))
    assert [run.command for run in manifest.runs] == [str(n) for n in range(3, 23)]
    assert manifest.runs_left_out == 3


def test_inputs_are_bounded_over_all_runs_but_the_newest_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contents, "MOST_INPUTS", 10)
    manifest = Manifest()
    for name, number in (("a", 4), ("b", 4), ("c", 2)):
        manifest = manifest.with_run(with_inputs(number, name))
    assert [run.command for run in manifest.runs] == ["a", "b", "c"]  # just ten
    manifest = manifest.with_run(with_inputs(5, "d"))
    assert ([run.command for run in manifest.runs], manifest.runs_left_out) == (["c", "d"], 2)
    manifest = manifest.with_run(with_inputs(11, "e"))
    assert ([run.command for run in manifest.runs], manifest.runs_left_out) == (["e"], 4)


def test_a_run_takes_the_place_of_what_was_said_of_it() -> None:
    running, other = replace(RUN, state="running"), replace(RUN, command="other")
    manifest = Manifest().with_run(running).with_run(other).with_run(RUN, running)
    assert manifest.runs == (RUN, other)


def test_a_file_that_changed_just_before_the_run_has_no_known_hash() -> None:
    began_ns = int(RUN.began * 1e9)
    old, new = (replace(RUN.inputs[0], modified_ns=began_ns - ago) for ago in (3 * 10**9, 10**9))
    known = dict(replace(RUN, inputs=(old, new)).known_hashes())
    assert known == {(old.path, old.bytes, old.modified_ns): HASH}
