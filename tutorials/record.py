"""Write docs/tutorials/: python tutorials/record.py [NAME ...] (or: make tutorials ONLY=NAME).

Takes the steps of each template in ``templates/``, in an empty folder, puts the outputs below them
and writes the pictures. With ``--keep``, a recording that was interrupted goes on where it was: its
commands are not run again, but Python is, for its variables. With ``--prose``, pages take the text
of their templates, and keep their outputs and pictures; their steps must be the same.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import session
from session import ROOT, Session
from tutorial_page import Code, Picture, filled, outputs_of, steps, without_outputs

TEMPLATES = ROOT / "tutorials" / "templates"
PAGES = ROOT / "docs" / "tutorials"
PICTURES = PAGES / "pictures"

NAMES = ("train", "reconstruct", "complete", "cohort", "simulate", "change")
"""The tutorials, in the order in which they are read."""


def template_of(name: str) -> str:
    """The template of a tutorial."""
    return (TEMPLATES / f"{name}.md").read_text(encoding="utf-8")


def page_of(name: str) -> str:
    """The page of a tutorial, as it was written last."""
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def record(name: str, folder: Path) -> str:
    """Take the steps of a tutorial in a folder; write its pictures; return its page.

    What commands printed in an interrupted recording there is not made again.
    """
    template = template_of(name)
    journal = folder.with_name(f"{name}.json")
    earlier = json.loads(journal.read_text(encoding="utf-8")) if journal.exists() else []
    done: list[tuple[str, str]] = []
    outputs: list[str] = []
    with Session(folder) as terminal:
        for step in steps(template):
            began = time.monotonic()
            print(f"\n{step}", file=sys.stderr)
            if isinstance(step, Picture):
                draw(step.words, folder, PICTURES / step.name)
                continue
            if isinstance(step, Code):
                outputs.append(terminal.execute(step.source))
            else:
                known = earlier[len(done) : len(done) + 1]
                if known and known[0][0] == step.line:
                    outputs.append(known[0][1])
                else:
                    earlier = []
                    outputs.append(terminal.run(step.line))
                done.append((step.line, outputs[-1]))
                if not terminal.status:  # a failure counts once it is shown
                    journal.write_text(json.dumps(done), encoding="utf-8")
            print(f"{outputs[-1]}\n[{time.monotonic() - began:.0f} s]", file=sys.stderr)
    journal.unlink(missing_ok=True)
    return filled(template, outputs)


def draw(words: str, folder: Path, picture: Path) -> None:
    """Draw a picture of files in a folder."""
    command = [sys.executable, ROOT / "tutorials" / "draw.py", *words.split(), "--out", picture]
    picture.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, cwd=folder, env=session.environment(), check=True)


def with_new_text(name: str) -> str:
    """The page of a tutorial with the text of its template and the outputs that it has."""
    template, page = template_of(name), page_of(name)
    if steps(template) != steps(without_outputs(page)):
        raise SystemExit(f"{name}: the steps changed; record it: make tutorials ONLY={name}")
    return filled(template, outputs_of(page))


def main() -> None:
    """Write the pages, each once all its steps are taken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--prose", action="store_true", help="change the text alone")
    parser.add_argument("--keep", type=Path, help="keep each tutorial's files in a folder here")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no tutorials {sorted(unknown)}; choose of {', '.join(NAMES)}")
    for name in given.names or NAMES:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (given.keep or Path(temporary)).resolve() / name
            if given.prose:
                page = with_new_text(name)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                page = record(name, folder)
        (PAGES / f"{name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
