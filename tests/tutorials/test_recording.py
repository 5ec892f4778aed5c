"""How tutorials are recorded."""

import subprocess
import sys
from pathlib import Path

import pytest
import record
from session import Session, readable
from tutorial_page import (
    Code,
    Command,
    Picture,
    filled,
    outputs_of,
    steps,
    without_outputs,
)

TEMPLATE = """\
# A heart

```console
$ ls
$ vecsetx info run/
```

```python
print(1 + 1)
```

<!-- draw: meshes patient --only LV -->
![A heart](pictures/heart.webp)

```yaml
$ no command
```
"""


def test_a_template_has_steps() -> None:
    assert steps(TEMPLATE) == [
        Command("ls"),
        Command("vecsetx info run/"),
        Code("print(1 + 1)\n"),
        Picture("meshes patient --only LV", "heart.webp"),
    ]


@pytest.mark.parametrize(
    "outputs", [["a\n\nb", "", "2"], ["", "", ""], ["", "# no heading", "$"], ["x", "y", "a\n\nb"]]
)
def test_outputs_come_back_from_a_page(outputs: list[str]) -> None:
    page = filled(TEMPLATE, outputs)
    assert without_outputs(page) == TEMPLATE
    assert outputs_of(page) == outputs


@pytest.mark.parametrize("output", ["a\n$ b", "```"])
def test_an_output_that_would_break_its_page_is_refused(output: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        filled(TEMPLATE, ["", output, ""])


@pytest.mark.parametrize(
    "line", ["```console\nno command\n```\n", "```text\nx\n```\n", "<!-- draw: a -->\nno picture\n"]
)
def test_templates_that_cannot_be_recorded_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"no command|no picture|a block of text"):
        steps(line)


def test_progress_is_kept_in_its_last_state_only() -> None:
    output = """\
loading (2 s)
sampling hearts: 0/8 (for 3 s)
sampling hearts: 1/8 phantom000 (5.5 hearts/min, 77 s left)
sampling hearts: 8/8 phantom007 (41 hearts/min, took 12 s)
see /tmp/x/check.html
training: 10/10 loss 0.4 (2.0 steps/s, took 5 s)
writing scores and report: meshing, 40% (4 s)
"""
    assert (
        readable(output, "/tmp/x")
        == """\
sampling hearts: 8/8 phantom007 (41 hearts/min, took 12 s)
see ~/hearts/check.html
training: 10/10 loss 0.4 (2.0 steps/s, took 5 s)"""
    )


def test_a_failure_has_to_be_shown(tmp_path: Path) -> None:
    with Session(tmp_path) as terminal:
        assert "No such file" in terminal.run("ls nowhere")
        assert terminal.run("echo $?") != "0"
        assert terminal.run("ls") == "examples"
        assert terminal.run("echo $?") == "0"
    with Session(tmp_path) as terminal:
        terminal.run("ls nowhere")
        with pytest.raises(RuntimeError, match="before ls"):
            terminal.run("ls")
        with pytest.raises(RuntimeError, match="before Python"):
            terminal.execute("print(1)")
        terminal.run("echo $?")
    with pytest.raises(RuntimeError, match="last command"), Session(tmp_path) as terminal:
        terminal.run("ls nowhere")


def test_blocks_of_python_share_their_variables(tmp_path: Path) -> None:
    with Session(tmp_path) as terminal:
        assert terminal.execute("from pathlib import Path\nx = 2\n") == ""
        assert terminal.execute("print(x + 1, end='')\n") == "3"
        assert terminal.execute("print(Path.cwd())\n") == "~/hearts"
    with pytest.raises(RuntimeError, match="division by zero"), Session(tmp_path) as terminal:
        terminal.execute("1 / 0\n")


def test_a_child_of_python_that_ends_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="this failed"), Session(tmp_path) as terminal:
        terminal.execute("import os\nprint('half')\nos._exit(0)\n")


def test_an_interrupted_recording_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "templates").mkdir()
    folder = tmp_path / "hearts"
    folder.mkdir()
    monkeypatch.setattr(record, "TEMPLATES", tmp_path / "templates")

    def record_commands(*commands: str) -> list[str]:
        lines = "".join(f"$ {command}\n" for command in commands)
        (tmp_path / "templates" / "walk.md").write_text(f"```console\n{lines}```\n")
        return outputs_of(record.record("walk", folder))

    (folder / "a").write_text("1")
    (folder / "b").write_text("1")
    with pytest.raises(RuntimeError):
        record_commands("cat a", "cat nowhere", "echo $?", "cat b", "cat c", "ls")
    (folder / "a").write_text("2")
    (folder / "b").write_text("2")
    (folder / "c").write_text("2")
    # A command that changed is run, and so is what follows it; the failed one, too.
    made = record_commands("cat a", "cat nowhere", "echo $?", "cat c", "cat b")
    assert [made[0], *made[2:]] == ["1", "1", "2", "2"]
    assert record_commands("cat a") == ["2"]  # a complete recording leaves nothing to go on from


def test_new_text_keeps_outputs_and_new_steps_need_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "TEMPLATES", tmp_path)
    monkeypatch.setattr(record, "PAGES", tmp_path / "pages")
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "walk.md"
    page.write_text(filled(TEMPLATE, ["a", "b", "2"]))
    template = tmp_path / "walk.md"
    template.write_text(TEMPLATE.replace("A heart\n\n", "Some heart\n\nNew text.\n\n", 1))
    assert outputs_of(record.with_new_text("walk")) == ["a", "b", "2"]
    assert without_outputs(record.with_new_text("walk")) == template.read_text()
    template.write_text(TEMPLATE.replace("$ ls\n", "$ ls -a\n"))
    with pytest.raises(SystemExit, match="record it"):
        record.with_new_text("walk")


def test_the_recorder_names_the_tutorials() -> None:
    script = Path(record.__file__)
    done = subprocess.run(
        [sys.executable, script, "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "reconstruct" in done.stderr
