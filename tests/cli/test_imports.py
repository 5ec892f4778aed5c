"""What a command imports before its work begins."""

import json
import subprocess
import sys

from support.command_line import every_command
from support.runs import ENVIRONMENT

HEAVY = {
    *("SimpleITK", "cc3d", "distributed", "fast_simplification", "highdicom", "huggingface_hub"),
    *("igl", "jinja2", "k3d", "matplotlib", "meshio", "nibabel", "plotly", "pyamg", "pydicom"),
    *("pykdtree", "pyvista", "scipy", "skfem", "skimage", "trimesh", "vtk", "vtkmodules"),
}
# jinja2 comes with PyTorch; the other two take some milliseconds.
LIGHT = {"cc3d", "jinja2", "pykdtree"}


def imported(code: str) -> set[str]:
    """The packages that a new process has imported after some code."""
    script = f"import json, sys\n{code}\njson.dump(sorted(sys.modules), sys.stderr)"
    ended = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return {module.partition(".")[0] for module in json.loads(ended.stderr)}


def test_train_and_reconstruct_import_libraries_only_where_they_are_used() -> None:
    found = imported("import vecsetx.commands.train, vecsetx.commands.reconstruct")
    assert "torch" in found
    assert found & (HEAVY - LIGHT) == set()


def test_training_alone_imports_none_at_all() -> None:
    assert imported("import vecsetx.commands.train") & (HEAVY - {"jinja2"}) == set()


def test_help_imports_neither_torch_nor_any_of_them() -> None:
    commands = [[], *(name.split() for name in every_command())]
    code = (
        "import vecsetx\n"
        "from vecsetx.cli import _COMMAND\n"
        f"for words in {commands}:\n"
        "    _COMMAND.main([*words, '--help'], prog_name='vecsetx', standalone_mode=False)\n"
    )
    found = imported(code)
    assert "typer" in found
    assert found & (HEAVY | {"numpy", "torch"}) == set()
