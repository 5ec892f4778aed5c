"""A training node, on which only PyTorch and ``requirements-train.txt`` are installed."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from support.runs import ENVIRONMENT, RECIPE

from vecsetx.data.dataset import DataSet

ROOT = Path(__file__).parents[2]
# Arguments: modules that are not there, then the command lines, as JSON.
SCRIPT = """
import json, sys
from importlib.machinery import PathFinder

missing, commands = json.loads(sys.argv[1])

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        gone = name.partition(".")[0] in missing
        return None if gone else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
import vecsetx
from vecsetx.__main__ import main

for words in commands:
    sys.argv = ["vecsetx", *words]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


def pins(name: str) -> dict[str, str]:
    """Distribution → version, of a file of exact versions."""
    lines = (ROOT / name).read_text().splitlines()
    found = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normal(distribution): version for distribution, version in found}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def with_requirements(distribution: str) -> set[str]:
    """A distribution and all that it brings along."""
    found, left = set(), [distribution]
    while left:
        name = normal(left.pop())
        if name not in found:
            found.add(name)
            needed = requires(name) or () if name in INSTALLED else ()
            left += [re.match(r"[\w.-]+", need)[0] for need in needed if "extra ==" not in need]
    return found


INSTALLED = {normal(one) for several in packages_distributions().values() for one in several}


def test_versions_are_those_of_constraints() -> None:
    assert pins("requirements-train.txt").items() <= pins("constraints.txt").items()
    assert "torch" not in pins("requirements-train.txt")


def test_a_run_trains_validates_and_resumes_with_nothing_else(
    dataset: DataSet, tmp_path: Path
) -> None:
    there = {"vecsetx", *pins("requirements-train.txt"), *with_requirements("torch")}
    missing = [
        module
        for module, several in packages_distributions().items()
        if there.isdisjoint(map(normal, several))
    ]
    assert {"vtkmodules", "SimpleITK", "k3d", "plotly", "matplotlib", "igl"} <= {*missing}
    recipe = RECIPE.changed({"training": {"steps": 4, "validate_every": 2}}, "")
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe.to_dict()))  # JSON is YAML
    run = tmp_path / "run"
    command = ["train", str(dataset.folder), "--out", str(run)]
    commands = [
        [*command, "--config", str(tmp_path / "recipe.yaml"), "--stop-after", "3"],
        [*command, "--resume"],
    ]
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([missing, commands])],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "curves.html was not written, because plotly is not installed" in " ".join(
        (ended.stdout + ended.stderr).split()
    )
    assert not (run / "curves.html").exists()
    assert (run / "model" / "model.safetensors").exists()
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    validations = [entry for entry in entries if entry["split"] == "val"]
    assert [entry["step"] for entry in validations] == [2, 4]
    assert not any("error" in entry for entry in validations)
    assert all(0 <= entry["grid_dice"] <= 1 for entry in validations)
