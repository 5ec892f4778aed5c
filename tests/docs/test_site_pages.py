"""What the site generates: the reference, the gallery, pages of the repository's files."""

import re
from pathlib import Path

import gallery
import make_site
import pytest
import reference
from support.command_line import every_command
from support.pages import DOCS, ROOT

import vecsetx

PACKAGE = ROOT / "src" / "vecsetx"


def test_the_reference_has_every_option_of_every_command() -> None:
    sections = re.split(r"^## ", reference.command_line(), flags=re.MULTILINE)[1:]
    texts = {section.partition("\n")[0]: section for section in sections}
    commands = every_command()
    assert list(texts) == [f"vecsetx {name}" for name in commands]
    for name, command in commands.items():
        text = texts[f"vecsetx {name}"]
        rows = re.findall(r"^\| <code>(.*?)</code> \| .+ \|$", text, re.MULTILINE)
        shown = [row.split()[0].rstrip(",").strip("[]").lower() for row in rows]
        expected = [each for each in command.params if not getattr(each, "hidden", False)]
        options = {each.opts[0] for each in expected if each.opts[0].startswith("--")}
        assert {word for word in shown if word.startswith("--")} == {*options, "--help"}
        assert len(set(shown)) == len(expected) + 1
        assert "[/" not in text
        assert "<lps" not in text


def test_the_reference_has_every_public_name() -> None:
    page = reference.python_api(PACKAGE)
    assert reference.public_names(PACKAGE) == set(vecsetx.__all__) - {"__version__"}
    for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE):
        module, _, own = name.rpartition(".")
        file = PACKAGE.parent / f"{module.replace('.', '/')}.py"
        assert re.search(rf"^(class|def) {own}\b", file.read_text("utf-8"), re.MULTILINE), name


def test_a_public_name_that_the_reference_lacks_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text('__all__ = ["__version__", "load", "unload"]\n')
    with pytest.raises(ValueError, match="the reference lacks unload; add it to _API"):
        reference.python_api(tmp_path)


def test_the_gallery_has_every_picture() -> None:
    shown = {path for path, *_ in gallery.pictures(DOCS)}
    assert shown == {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.png")} > set()


def test_a_page_keeps_its_place_for_what_is_generated() -> None:
    for path in make_site.GENERATED:
        assert make_site.MARK in (DOCS / path).read_text("utf-8")
    with pytest.raises(ValueError, match=r"docs/gallery.md: lacks <!-- generated -->"):
        make_site.staged("gallery.md", "# Gallery\n")


@pytest.mark.parametrize(
    "loading",
    [
        '<script src="https://example.org/a.js"></script>',
        '<img alt="a" src="//example.org/a.png">',
        '<link rel="stylesheet" href="https://example.org/a.css">',
    ],
)
def test_a_page_that_loads_from_the_network_is_refused(loading: str, tmp_path: Path) -> None:
    page = tmp_path / "how-to" / "page.html"
    page.parent.mkdir()
    local = '<a href="https://example.org">a</a><script src="https://unpkg.com/iframe-worker/shim">'
    page.write_text(f"{local}From :class:<code>~vecsetx.inference.heart.Heart</code>.")
    make_site.finish(tmp_path)
    assert '<script src="../worker_from_disk.js">From <code>Heart</code>.' in page.read_text()
    page.write_text(loading)
    with pytest.raises(ValueError, match=r"how-to/page.html: loads from the network: "):
        make_site.finish(tmp_path)
