"""Check what a wheel and an sdist hold, against the files that git tracks.

    python release/check_dist.py dist/

The wheel must hold the package's files, all of them and no others, in at most 10 MB; the sdist all
that building and testing take. Hearts and models belong in neither, except for the built-in model
and the fixtures of the tests.
"""

import argparse
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]

MOST_BYTES = 10_000_000
"""Largest wheel."""

_UNPACKED = (".ci/", ".gitignore", ".pre-commit-config.yaml", "MANIFEST.in")
"""What only a checkout needs; setuptools itself adds ``MANIFEST.in``."""

_GENERATED = ("PKG-INFO", "setup.cfg", "MANIFEST.in")

_DATA = (".nii", ".nii.gz", ".npz", ".safetensors", ".vtp", ".pt", ".nrrd", ".mha", ".dcm")
_ALLOWED_DATA = ("src/vecsetx/built_in/", "vecsetx/built_in/", "tests/fixtures/")


def wheel_problems(names: Collection[str], size: int, tracked: Collection[str]) -> list[str]:
    """Return what is wrong with a wheel.

    Args:
        names: Paths of the files in it.
        size: Its size, bytes.
        tracked: Paths of the files that git tracks.
    """
    expected = {name.removeprefix("src/") for name in tracked if name.startswith("src/vecsetx/")}
    own = {name for name in names if not PurePosixPath(name).parts[0].endswith(".dist-info")}
    found = _differences("wheel", own, expected)
    if size > MOST_BYTES:
        found.append(f"wheel: {size / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:g} MB")
    return [*found, *_data_in("wheel", names)]


def sdist_problems(names: Collection[str], tracked: Collection[str]) -> list[str]:
    """Return what is wrong with an sdist.

    Args:
        names: Paths of the files in it, without the folder that holds them all.
        tracked: Paths of the files that git tracks.
    """
    expected = {name for name in tracked if not name.startswith(_UNPACKED)}
    own = {n for n in names if n not in _GENERATED and not n.startswith("src/vecsetx.egg-info/")}
    return [*_differences("sdist", own, expected), *_data_in("sdist", names)]


def _differences(kind: str, found: Collection[str], expected: Collection[str]) -> list[str]:
    more, fewer = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    return [f"{kind}: holds {name}, which git does not track" for name in more] + [
        f"{kind}: lacks {name}" for name in fewer
    ]


def _data_in(kind: str, names: Collection[str]) -> list[str]:
    return [
        f"{kind}: holds the data {name}"
        for name in sorted(names)
        if name.lower().endswith(_DATA) and not name.startswith(_ALLOWED_DATA)
    ]


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with one wheel and one sdist")
    folder = parser.parse_args().folder
    wheels, sdists = list(folder.glob("*.whl")), list(folder.glob("*.tar.gz"))
    if (len(wheels), len(sdists)) != (1, 1):
        sys.exit(f"{folder}: {len(wheels)} wheels and {len(sdists)} sdists, not one each")
    tracked = _tracked()
    with zipfile.ZipFile(wheels[0]) as wheel:
        in_wheel = [name for name in wheel.namelist() if not name.endswith("/")]
    with tarfile.open(sdists[0]) as sdist:
        in_sdist = [m.name.partition("/")[2] for m in sdist.getmembers() if m.isfile()]
    size = wheels[0].stat().st_size
    found = wheel_problems(in_wheel, size, tracked) + sdist_problems(in_sdist, tracked)
    if found:
        sys.exit("\n".join(found))
    print(f"{wheels[0].name}: {size / 1e6:.1f} MB, {len(in_wheel)} files")
    print(f"{sdists[0].name}: {sdists[0].stat().st_size / 1e6:.1f} MB, {len(in_sdist)} files")


if __name__ == "__main__":
    main()
