"""What a wheel and an sdist must and must not hold."""

import subprocess
from pathlib import Path

import pytest
from check_dist import MOST_BYTES, sdist_problems, wheel_problems

ROOT = Path(__file__).parents[2]

TRACKED = (
    *("src/vecsetx/__init__.py", "src/vecsetx/py.typed", "src/vecsetx/built_in/m.safetensors"),
    *("tests/test_a.py", "tests/fixtures/0.1/a.npz", "README.md", "Makefile", ".gitignore"),
    ".github/workflows/ci.yml",
)
WHEEL = {
    *("vecsetx/__init__.py", "vecsetx/py.typed", "vecsetx/built_in/m.safetensors"),
    *("vecsetx-0.1.0.dist-info/METADATA", "vecsetx-0.1.0.dist-info/licenses/LICENSE"),
}
SDIST = {
    *(name for name in TRACKED if name != ".gitignore"),
    *("PKG-INFO", "setup.cfg", "MANIFEST.in", "src/vecsetx.egg-info/SOURCES.txt"),
}


def test_whole_ones_have_no_problems() -> None:
    assert wheel_problems(WHEEL, MOST_BYTES, TRACKED) == []
    assert sdist_problems(SDIST, TRACKED) == []


@pytest.mark.parametrize("name", sorted(n for n in WHEEL if ".dist-info" not in n))
def test_a_file_that_the_wheel_lacks_is_named(name: str) -> None:
    assert wheel_problems(WHEEL - {name}, 1, TRACKED) == [f"wheel: lacks {name}"]


@pytest.mark.parametrize("name", ["tests/test_a.py", "vecsetx/notes.txt", "stray.py"])
def test_a_file_that_the_wheel_should_not_hold_is_named(name: str) -> None:
    told = [f"wheel: holds {name}, which git does not track"]
    assert wheel_problems(WHEEL | {name}, 1, TRACKED) == told


def test_a_large_wheel_is_refused() -> None:
    (told,) = wheel_problems(WHEEL, MOST_BYTES + 1, TRACKED)
    assert told.startswith("wheel: 10.0 MB")


@pytest.mark.parametrize("name", ["README.md", "tests/test_a.py", "tests/fixtures/0.1/a.npz"])
def test_a_file_that_the_sdist_lacks_is_named(name: str) -> None:
    assert sdist_problems(SDIST - {name}, TRACKED) == [f"sdist: lacks {name}"]


def test_data_are_named_even_where_git_tracks_them() -> None:
    heart = "docs/patient.NII.gz"
    assert sdist_problems(SDIST | {heart}, [*TRACKED, heart]) == [f"sdist: holds the data {heart}"]
    data = "vecsetx/anatomy/heart.vtp"
    assert wheel_problems(WHEEL | {data}, 1, [*TRACKED, f"src/{data}"]) == [
        f"wheel: holds the data {data}"
    ]


UNPACKED = {
    *(".ci", ".gitignore", ".pre-commit-config.yaml", "MANIFEST.in"),  # only a checkout needs them
    *("LICENSE", "README.md", "pyproject.toml", "src"),  # setuptools packs them by itself
}


def test_every_file_and_folder_of_the_checkout_is_packed_into_the_sdist() -> None:
    """Otherwise a new folder is noticed only by ``make dist``."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("no git checkout")
    lines = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines()]
    packed = {name for verb, *names in lines if verb in ("include", "graft") for name in names}
    assert {name.split("/")[0] for name in tracked.stdout.split()} - UNPACKED == packed
