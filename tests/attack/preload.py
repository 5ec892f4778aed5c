"""Everything that commands import while they run, imported once for all of them."""

import importlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from attack.mad_options import BASES, PLACES
from attack.material import Material


def preload(material: Material) -> None:
    """Run every command in a process of its own, then import here what they imported.

    Raises:
        AssertionError: A command failed, which has no attack against it.
    """
    with TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            _run_all(material, Path(folder))
        _, state = os.waitpid(child, 0)
        assert state == 0, (Path(folder) / "output.txt").read_text()
        names = json.loads((Path(folder) / "modules.json").read_text())
    for name in names:
        with suppress(ImportError):  # some exist only as attributes of others
            importlib.import_module(name)


def _run_all(material: Material, folder: Path) -> None:
    """Run the commands; never returns."""
    from vecsetx.cli import main

    before = set(sys.modules)
    with (folder / "output.txt").open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    status = 1
    try:
        for taken in ("plain.nii", "recipe.yaml", *PLACES):
            material.copy(taken, folder)
        os.chdir(folder)
        for number, base in enumerate(BASES.values()):
            words = base.format(**{place: place for place in PLACES})
            sys.argv = ["vecsetx", *words.replace(" out", f" out{number}").split()]
            try:
                main()
            except SystemExit as ended:
                if ended.code:
                    raise RuntimeError(f"{sys.argv} ended with {ended.code}") from ended
        modules = [name for name in set(sys.modules) - before if not name.startswith("__")]
        Path("modules.json").write_text(json.dumps(sorted(modules)))
        status = 0
    except BaseException as error:
        print(repr(error), flush=True)
    finally:
        os._exit(status)
