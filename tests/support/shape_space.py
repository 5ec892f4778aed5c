"""The shape space of the small data set's training hearts, fitted once for all tests."""

from pathlib import Path

from typer.testing import CliRunner

from support.shared import made_once
from vecsetx.cli import app
from vecsetx.data.dataset import DataSet


def run(*words: object, code: int = 0) -> str:
    """Run a command; return what it says, in one line."""
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def fitted_space(dataset: DataSet) -> Path:
    """Return the folder of the space; tests do not change it. What was said is beside it."""

    def make(folder: Path) -> None:
        said = run("shape", "fit", dataset.folder, "--out", folder / "s", "--no-page")
        (folder / "said.txt").write_text(said)

    return made_once("shape-space", make) / "s"
