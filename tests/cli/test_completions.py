"""What a shell offers: by the protocol in which it asks, as ``--show-completion`` has it ask."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import every_command, run

from vecsetx.anatomy.label_sets import label_set_names
from vecsetx.anatomy.structures import structure_names
from vecsetx.cli.completions import PRESET_NAMES, lengths, structures
from vecsetx.presets import PRESETS


def offered(*words: str, monkeypatch: pytest.MonkeyPatch, capfd) -> list[str]:
    """What bash is offered for the last of the words behind ``vecsetx``."""
    monkeypatch.setenv("_VECSETX_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(("vecsetx", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    assert run(monkeypatch=monkeypatch) == 0
    said = capfd.readouterr()
    assert said.err == ""
    return said.out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("re",), ["reconstruct"]),
        (("shape", ""), ["fit", "sample", "modes", "interpolate", "project"]),
        (("inspect", "--lab"), ["--labels"]),
        (("inspect", "--no-such-option", "--lab"), ["--labels"]),
        (("inspect", "--labels", ""), [*label_set_names()]),
        (("labels", "mm"), ["mmwhs"]),
        (("train", "data", "--preset", "tiny"), ["tiny", "tiny-partial"]),
        (("reconstruct", "--structures", "LV,R"), ["LV,RA", "LV,RV", "LV,RVWall"]),
        (("reconstruct", "--hide", "LV,RV,RV"), ["LV,RV,RVWall"]),
        (("volume-mesh", "a.nii", "--wall", "RV"), ["RV=", "RVWall="]),
        (("volume-mesh", "a.nii", "--wall", "RV=3"), []),
        (("volume-mesh", "a.nii", "--wall", "RV=3,LA"), ["RV=3,LA=", "RV=3,LAWall=", "RV=3,LAA="]),
        (("reconstruct", "--format", "v"), ["vtp"]),
        (("inspect", "a"), []),  # a file, which the shell completes
        (("reconstruct", "a.nii", "--out", ""), []),
    ],
)
def test_words_are_completed(words: tuple[str, ...], expected, monkeypatch, capfd) -> None:
    found = offered(*words, monkeypatch=monkeypatch, capfd=capfd)
    assert sorted(found) == sorted(expected)


def test_all_commands_are_offered(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    found = offered("", monkeypatch=monkeypatch, capfd=capfd)
    assert set(found) == {name.split()[0] for name in every_command()}


def test_the_names_are_those_that_there_are() -> None:
    assert set(PRESET_NAMES) == set(PRESETS)
    assert structures("") == [*structure_names()]
    assert lengths("") == [f"{name}=" for name in structure_names()]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_by_the_script_that_is_shown(tmp_path: Path) -> None:
    """In a bash whose ``vecsetx`` is this one. No completion loads PyTorch."""
    command = tmp_path / "vecsetx"
    code = (
        "import sys; sys.argv[0] = 'vecsetx'\n"
        "sys.modules['torch'] = sys.modules['vtkmodules'] = None\n"
        "from vecsetx.__main__ import main; main()\n"
    )
    command.write_text(f"#!{sys.executable}\n{code}")
    command.chmod(0o755)
    script = (
        'eval "$(vecsetx --show-completion bash)"\n'
        "COMP_WORDS=(vecsetx volume-mesh --tags f) COMP_CWORD=3\n"
        '_vecsetx_completion vecsetx; echo "${COMPREPLY[@]}"\n'
        "complete -p vecsetx\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": path,
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    found = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True
    )
    assert found.stderr == ""
    assert found.stdout.splitlines() == [
        "four-chamber",
        "complete -o default -F _vecsetx_completion vecsetx",
    ]
