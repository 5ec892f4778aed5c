"""Links between pages lead somewhere, in the repository and on the site."""

import re
import tomllib
from pathlib import Path

import pytest
from links import for_site, page_path
from support.pages import DOCS, ROOT, pages, slugs, tokens


def links(page: Path) -> list[str]:
    found = [str(token.attrs.get("href") or token.attrs.get("src") or "") for token in tokens(page)]
    return [link for link in found if link and not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            assert anchor in slugs(target), f"{link}: there is no such heading"


def test_every_page_is_in_the_menu_once() -> None:
    text = (ROOT / "website" / "zensical.toml").read_text("utf-8")
    listed: list[str] = []

    def collect(part: object) -> None:
        if isinstance(part, str):
            listed.append(part)
        for each in (
            part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        ):
            collect(each)

    collect(tomllib.loads(text)["project"]["nav"])
    own = [path for path in listed if not path.startswith("repository/")]
    names = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    ours = [n for n in names if not n.endswith("_template.md") and not n.startswith("tutorial")]
    assert sorted(own) == sorted(ours)
    for path in set(listed) - set(own):
        assert [page for page in pages() if page_path(str(page.relative_to(ROOT))) == path], path


@pytest.mark.parametrize(
    ("source", "link", "on_site"),
    [
        ("docs/data.md", "outputs.md#pose", "outputs.md#pose"),
        (
            "docs/paths/model.md",
            "../../README.md#code-layout",
            "../repository/overview.md#code-layout",
        ),
        ("docs/cluster.md", "../slurm", "repository/slurm.md"),
        ("docs/volume-mesh.md", "../examples/simulate.py", "repository/examples/simulate.py.md"),
        ("README.md", "docs/reconstruction.png", "../reconstruction.png"),
        ("README.md", "docs/how-to/index.md", "../how-to/index.md"),
        ("examples/openCARP.md", "../docs/volume-mesh.md", "../../volume-mesh.md"),
        ("docs/model.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("docs/model.md", "#scores", "#scores"),
    ],
)
def test_links_on_the_site(source: str, link: str, on_site: str) -> None:
    assert for_site(f"see [this]({link}).", source) == f"see [this]({on_site})."


def test_code_keeps_its_links() -> None:
    block = "```md\n[a](../slurm)\n```"
    assert for_site(block, "docs/cluster.md") == block
