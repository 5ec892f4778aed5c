"""``vecsetx doctor``: what it says of an installation that works, and of those that do not."""

import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from support.command_line import run

import vecsetx
from vecsetx._version import __version__
from vecsetx.commands import doctor as command
from vecsetx.doctor import devices, installation, machine_report, section, self_test
from vecsetx.doctor.section import Section, without_user
from vecsetx.model import built_in

TITLES = [
    *("program", "packages", "devices", "machine", "environment", "built-in model", "self-test"),
]


@pytest.fixture
def no_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "_dice", lambda folder: 0.96)


def test_a_sound_installation_passes_its_self_test() -> None:
    found = self_test.self_test()
    assert found.problems == ()
    dice, seconds = found.facts["Dice"], found.facts["seconds"]
    assert self_test.DICE < float(dice.split()[0]) < 1
    assert float(seconds.split()[0]) > 0


@pytest.mark.usefixtures("no_self_test")
def test_the_report_has_all_parts_as_text_and_as_json(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    status = run("doctor", "--json", monkeypatch=monkeypatch)
    printed, said = capfd.readouterr()
    found = json.loads(printed)["result"]
    assert [part["title"] for part in found["sections"]] == TITLES
    for part in found["sections"]:
        assert f"{part['title']}\n" in said
        for name, text in part["facts"].items():
            assert re.search(rf"^  {re.escape(name)} +{re.escape(text)}$", said, re.MULTILINE)
    assert status == (1 if found["problems"] else 0)
    assert all(f"  {problem}\n" in said for problem in found["problems"])
    assert run("doctor", "--json", "--quiet", monkeypatch=monkeypatch) == status
    assert capfd.readouterr().err == ""
    facts = {part["title"]: part["facts"] for part in found["sections"]}
    assert facts["program"]["VecSetX"] == __version__
    assert facts["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert facts["built-in model"]["files"] == "as recorded in SHA256SUMS"


def test_a_problem_ends_with_status_1_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sections = [Section("a", {"b": "c\x1b[31m"}), Section("d", {}, ("broken; mend it",))]
    monkeypatch.setattr(command, "examine", lambda: iter(sections))
    assert run("doctor", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().out
    assert said == "a\n  b  c�[31m\nd\n  none\n1 problem:\n  broken; mend it\n"
    monkeypatch.setattr(command, "examine", lambda: iter(sections[:1]))
    assert run("doctor", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.endswith("\nno problem found\n")


def test_packages_are_held_against_the_stated_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"vecsetx": __version__, "numpy": "1.26.4", "torch": "2.13.0+cpu", "vtk": "9.7.0rc1"}
    stated = [
        *("numpy>=2.0", "torch>=2.13", "vtk>=9.6", "missing>=3"),
        *("old>=1; python_version<'3'", "extra>=1; extra=='dev'"),
    ]

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(installation, "version", version)
    monkeypatch.setattr(installation, "requires", lambda _: stated)
    found = installation.packages()
    assert found.facts == {
        "missing": "! missing",
        "numpy": "1.26.4 ! needs >=2.0",
        "torch": "2.13.0+cpu",
        "vtk": "9.7.0rc1",
    }
    assert found.problems == (
        "missing is missing; type: pip install 'missing>=3'",
        "numpy 1.26.4: VecSetX needs >=2.0; type: pip install 'numpy>=2.0'",
    )
    versions["vecsetx"] = "0.0.1"
    assert "but 0.0.1 is installed" in installation.program().problems[0]
    del versions["vecsetx"]
    assert installation.program().facts["installed"].startswith("no: ")
    monkeypatch.setattr(installation, "requires", version)
    assert "its bounds are unknown" in installation.packages().problems[0]


def test_the_commit_is_that_of_a_checkout(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path))
        return subprocess.run(
            ["git", *names, *words], check=True, capture_output=True, text=True
        ).stdout

    package = tmp_path / "src" / "vecsetx"
    package.mkdir(parents=True)
    assert installation._commit(package) == ""
    git("init", "-q")
    assert installation._commit(package) == "unknown (git cannot be run here)"  # no commit yet
    (package / "a.py").touch()
    git("add", ".")
    git("commit", "-q", "-m", "a")
    commit = git("rev-parse", "HEAD").strip()
    assert installation._commit(package) == commit[:12]
    (package / "a.py").write_text("changed")
    assert installation._commit(package) == f"{commit[:12]}, with changes"


def doctor_without(*modules: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the command prints in a folder where Python finds none of some modules."""
    program = f"""
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = ["vecsetx", "doctor"]
from vecsetx.__main__ import main
main()
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(vecsetx.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
        cwd=folder,
    )


def test_without_its_libraries_it_says_so_and_does_not_crash(tmp_path: Path) -> None:
    modules = ("torch", "vtkmodules", "SimpleITK", "scipy", "skimage")
    done = doctor_without(*modules, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "PyTorch does not work (ModuleNotFoundError: No module named 'torch')" in done.stdout
    assert "\n  the self-test failed (ModuleNotFoundError: No module named " in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["yaml", "packaging"])
def test_without_what_the_command_line_itself_needs_one_line_says_so(
    module: str, tmp_path: Path
) -> None:
    done = doctor_without(module, folder=tmp_path)
    assert done.returncode == 2
    remedy = "to install what VecSetX needs, type: pip install vecsetx"
    assert done.stderr == f"vecsetx: the Python module {module} is missing; {remedy}\n"


class _Cuda:
    """PyTorch on a machine with one GPU."""

    @staticmethod
    def is_available() -> bool:
        return True

    device_count = staticmethod(lambda: 1)
    is_bf16_supported = staticmethod(lambda: True)

    @staticmethod
    def get_device_properties(_: int) -> object:
        return namedtuple("GPU", "name total_memory major minor")("H200", 150_000_000_000, 9, 0)


def test_gpus_are_named_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert "no GPU is seen" in devices.devices().facts["CUDA"] or torch.cuda.is_available()
    monkeypatch.setattr(torch, "cuda", _Cuda)
    found = devices.devices().facts
    assert found["cuda:0"] == "H200, 150 GB, compute capability 9.0, with bf16"
    assert found["CUDA"] == "12.8"


def test_limits_of_a_container_and_of_slurm_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_report, "_CGROUP", tmp_path)
    found = machine_report.machine().facts
    assert "CPU quota" not in found
    assert "memory limit" not in found
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("1500000000\n")
    monkeypatch.setattr(machine_report, "cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    report = machine_report.machine()
    assert report.facts["cores"].startswith("3 of ")
    assert report.facts["threads"] == "2 per process"
    assert report.facts["CPU quota"] == "1.5 cores (cgroup)"
    assert report.facts["memory limit"] == "1.5 GB (cgroup)"
    assert any("of memory are free; end other programs" in each for each in report.problems)
    for text in ("max 100000", "max", "", "odd words", "1 0"):
        (tmp_path / "cpu.max").write_text(text)
        (tmp_path / "memory.max").write_text(text)
        assert not {"CPU quota", "memory limit"} & machine_report.machine().facts.keys()


def test_a_full_disk_is_a_problem_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**8))
    problems = machine_report.machine().problems
    assert any("0.1 GB are free; free space, or set TMPDIR to" in each for each in problems)
    monkeypatch.undo()
    assert machine_report._disk("current folder", tmp_path / "gone")[1].endswith("another folder")
    assert machine_report._disk("temporary folder", None)[0] == "! none"


def test_only_harmless_variables_are_shown() -> None:
    shown = {"VECSETX_SHARED": "1", "OMP_NUM_THREADS": "2", "SLURM_JOB_ID": "7"}
    hidden = {
        **{"HF_TOKEN": "x", "WANDB_API_KEY": "x", "VECSETX_TOKEN": "x", "AWS_SECRET": "x"},
        **{"SLURM_JOB_USER": "x", "HOME": "x", "USER": "x", "OMP_NUM_THREADS_OLD": "x"},
    }
    assert machine_report.environment({**shown, **hidden}).facts == shown


@pytest.mark.parametrize("value", ["1", "16", " 4 ", "4,2", "08"])
def test_numbers_of_threads_are_no_problem(value: str) -> None:
    assert machine_report.environment({"OMP_NUM_THREADS": value}).problems == ()


@pytest.mark.parametrize("value", ["abc", "", "0", "-1", "4.0", "4,", "٣", "1" * 300 + "x"])
def test_other_values_are_a_problem_with_a_remedy(value: str) -> None:
    (problem,) = machine_report.environment({"MKL_NUM_THREADS": value}).problems
    shown = value[:200]
    assert problem == (
        f"MKL_NUM_THREADS is {shown!r}, no number of threads, so it is ignored; set it to a whole "
        "number above 0, or unset it"
    )


def test_neither_the_user_nor_the_home_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/mueller")
    monkeypatch.setattr(section.getpass, "getuser", lambda: "mueller")
    assert without_user("/home/mueller/x:/home/mueller") == "~/x:~"
    assert without_user("/scratch/mueller/x") == "/scratch/USER/x"
    assert without_user("/scratch/muellers") == "/scratch/muellers"
    assert without_user("/home/muellerin/x") == "/home/muellerin/x"
    monkeypatch.setattr(section.getpass, "getuser", lambda: "root")
    monkeypatch.setenv("HOME", "/")
    assert without_user("a/root/x") == "a/root/x"


@pytest.mark.parametrize(
    ("error", "dice", "told"),
    [
        (None, 0.9, "with a mean Dice of 0.900, below 0.95; install"),
        (None, float("nan"), "with a mean Dice of nan"),
        (ImportError("no libGL\nmore"), 1.0, "the self-test failed (ImportError: no libGL); mend"),
    ],
)
def test_a_self_test_that_fails_says_why(
    error: Exception | None, dice: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(_: Path) -> float:
        if error:
            raise error
        return dice

    monkeypatch.setattr(self_test, "_dice", found)
    (problem,) = self_test.self_test().problems
    assert told in problem
    assert self_test.self_test().facts["result"] == "! failed"


def test_altered_files_of_the_built_in_model_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(built_in._FOLDER, tmp_path / "built_in")
    monkeypatch.setattr(built_in, "_FOLDER", folder)
    assert built_in.altered_files() == {}
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "pose.safetensors").unlink()
    assert built_in.altered_files() == {
        "model.safetensors": "changed",
        "pose.safetensors": "missing",
    }
    found = self_test.built_in()
    assert "model.safetensors of the built-in model is changed; install VecSetX again" in (
        found.problems
    )
    (folder / "SHA256SUMS").write_text("odd")
    assert len(self_test.built_in().problems) == 1
    (folder / "SHA256SUMS").unlink()
    assert len(self_test.built_in().problems) == 1


def test_every_file_of_the_built_in_model_has_its_hash_which_the_docs_quote() -> None:
    folder = built_in._FOLDER
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    files = {name: hashed for hashed, name in (line.split("  ") for line in lines)}
    own = {f.name for f in folder.iterdir() if f.name != "SHA256SUMS" and f.is_file()}
    assert files.keys() == own
    for name, hashed in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == hashed
    page = Path(__file__).parents[2] / "docs" / "model.md"
    assert f"`{files['model.safetensors']}`" in page.read_text()
