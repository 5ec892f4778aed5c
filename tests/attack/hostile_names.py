"""Names of all sorts: of files, hearts, segments and structures, through commands and pages."""

import json
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import yaml
from support.descriptions import rewritten

from attack.judge import Attack
from attack.material import Material

NAMES = (
    "../escaped",
    "/tmp/escaped",
    "..",
    ".hidden",
    "-rf",
    "--out",
    "a/b",
    "a\\b",
    "a\nb",
    "a\tb",
    "a\x1b[31mred",
    "a\x00b",
    "a\x85b",
    "\u202egnp.exe",
    "Möller",
    "心脏",
    "😀",
    "e\u0301",
    " blank ",
    "a'b\"c",
    "$(touch escaped)",
    "`touch escaped`",
    "%s%n{0}{x}",
    "[bold]x[/bold]",
    "[/]",
    "<script>document.title='gone'</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "{{7*7}}",
    "=HYPERLINK(1)",
    "con",
    "NUL.txt",
    "\ud800",
    "x" * 300,
    "",
)


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield attacks with each name at each place; ``count`` is the number of names of each."""
    rng = np.random.default_rng([seed, 1])
    for place, make in _PLACES.items():
        order = rng.permutation(len(NAMES))[:count]
        for name in (NAMES[i] for i in sorted(order)):
            words = make(name, material, folder)
            if words is None:  # the file system has no such name
                continue
            shown = name if len(name) < 40 else f"{name[:20]}…"
            yield (
                "names",
                Attack(
                    f"{place} {shown!r}; {words[0]}",
                    tuple(words),
                    "out",
                    wrong=partial(_active_pages, folder / "out"),
                ),
            )


def _file_inspected(name: str, material: Material, folder: Path) -> list[str] | None:
    return _named_file(name, material, folder, ["inspect", "{}", "--json"])


def _file_reconstructed(name: str, material: Material, folder: Path) -> list[str] | None:
    run = str(material.folder / "run")
    words = [
        *("reconstruct", "{}", "--model", run),
        *("--out", "out", "--resolution", "16", "--refine", "0"),
    ]
    return _named_file(name, material, folder, words)


def _file_prepared(name: str, material: Material, folder: Path) -> list[str] | None:
    words = ["prepare", "{}", "--out", "out", "--points", "100", "--workers", "1"]
    return _named_file(name, material, folder, words)


def _file_evaluated(name: str, material: Material, folder: Path) -> list[str] | None:
    words = [
        *("evaluate", "{}", "--model", str(material.folder / "run")),
        *("--out", "out", "--refine", "0"),
    ]
    return _named_file(name, material, folder, words)


def _named_file(name: str, material: Material, folder: Path, words: list[str]) -> list[str] | None:
    if "/" in name or "\0" in name or name in {"", ".."}:
        return None
    try:
        path = folder / f"{name}.nii"
        path.write_bytes((material.folder / "plain.nii").read_bytes())
    except (OSError, UnicodeEncodeError):
        return None
    return [word.replace("{}", f"./{path.name}") for word in words]


def _heart_of_a_data_set(command: str, *options: str):
    def make(name: str, material: Material, folder: Path) -> list[str]:
        data = material.copy("data", folder)
        content = json.loads((data / "dataset.json").read_text())
        content["hearts"][0]["name"] = name
        (data / "dataset.json").write_text(json.dumps(content))
        return [command, *options, "data"] if options else [command, "data", "--out", "out"]

    return make


def _segment(name: str, material: Material, folder: Path) -> list[str]:
    image = sitk.ReadImage(str(material.folder / "named.seg.nrrd"))
    image.SetMetaData("Segment3_Name", name.encode(errors="replace").decode().replace("\0", "?"))
    sitk.WriteImage(image, str(folder / "a.seg.nrrd"), True)
    return ["inspect", "a.seg.nrrd", "--json"]


def _structure(name: str, material: Material, folder: Path) -> list[str]:
    material.copy("plain.nii", folder)
    ids = {1: name.encode(errors="replace").decode(), 2: "LA"}
    (folder / "labels.yaml").write_text(yaml.safe_dump({"ids": ids}))
    return ["inspect", "plain.nii", "--labels", "labels.yaml", "--json"]


def _structure_of_a_model(name: str, material: Material, folder: Path) -> list[str]:
    material.copy("plain.nii", folder)
    model = material.copy("run/model", folder)
    with rewritten(model / "model.json") as content:
        named = json.loads(json.dumps(content).replace('"LV"', json.dumps(name)))
        content.clear()
        content.update(named)
    return ["reconstruct", "plain.nii", "--model", "model", "--out", "out", "--resolution", "16"]


def _word(name: str, material: Material, folder: Path) -> list[str] | None:
    """As a structure on the command line."""
    if "\0" in name or "\ud800" in name:
        return None
    material.copy("plain.nii", folder)
    return ["prepare", "plain.nii", "--out", "out", f"--structures={name}", "--points", "100"]


_PLACES = {
    "file": _file_inspected,
    "file ": _file_reconstructed,
    "file  ": _file_prepared,
    "file   ": _file_evaluated,
    "heart": _heart_of_a_data_set("check"),
    "heart ": _heart_of_a_data_set("export"),
    "heart  ": _heart_of_a_data_set("info", "--"),
    "segment": _segment,
    "structure": _structure,
    "structure ": _structure_of_a_model,
    "option": _word,
}


class _Scripts(HTMLParser):
    """What of a page's markup comes from a name."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note event handlers, which our pages have none of."""
        self.found += [f"<{tag} {key}={value}>" for key, value in attrs if key == "onerror"]

    def handle_data(self, data: str) -> None:
        """Note scripts that are the names' own."""
        if self.cdata_elem == "script" and data.strip() in {"alert(1)", "document.title='gone'"}:
            self.found.append(data)


def _active_pages(out: Path, status: int) -> str:
    """Say which page would run what a name says."""
    for page in out.rglob("*.html"):
        parser = _Scripts()
        parser.feed(page.read_text(encoding="utf-8"))
        if parser.found:
            return f"{page.name} would run {parser.found[0]}"
    return ""
