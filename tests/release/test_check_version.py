"""A release's tag is held against version, changelog and citation."""

import shutil
from pathlib import Path

import pytest
from check_version import ROOT, newest_section, problems


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of a release of 1.2.3."""
    (tmp_path / "src" / "vecsetx").mkdir(parents=True)
    (tmp_path / "src" / "vecsetx" / "_version.py").write_text('"""V."""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [1.2.3] - 2027-02-28\n\n### Added\n\n- One.\n\n"
        "## [1.2.2] - 2027-01-01\n\n- Old.\n"
    )
    (tmp_path / "CITATION.cff").write_text(
        "cff-version: 1.2.0\nversion: 1.2.3\ndate-released: 2027-02-28\nreferences:\n"
        "  - version: 9\n"
    )
    return tmp_path


def test_a_release_that_fits_has_no_problems(checkout: Path) -> None:
    assert problems(checkout, "v1.2.3") == []
    assert problems(checkout, None) == []
    section = newest_section((checkout / "CHANGELOG.md").read_text())
    assert section == ("1.2.3", "2027-02-28", "### Added\n\n- One.")


def test_this_checkout_names_one_version() -> None:
    assert problems(ROOT, None) == []


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2.4", "v1.2", "v1.2.3rc1", ""])
def test_another_tag_is_refused(checkout: Path, tag: str) -> None:
    assert problems(checkout, tag) == [f"tag {tag}: the version is 1.2.3; tag v1.2.3 or change it"]


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("src/vecsetx/_version.py", "1.2.3", "1.2.4", "CITATION.cff: version 1.2.3, not 1.2.4"),
        ("src/vecsetx/_version.py", "__version__", "version", "_version.py: no line"),
        ("CHANGELOG.md", "[1.2.3]", "[1.3.0]", "newest section 1.3.0, version 1.2.3"),
        ("CHANGELOG.md", "- 2027-02-28", "- 2027-02-30", "'2027-02-30' is no date"),
        ("CHANGELOG.md", "- 2027-02-28", "- 20270228", "'20270228' is no date"),
        ("CHANGELOG.md", "[1.2.3] - 2027-02-28", "[Unreleased] 1.2.3", "1.2.3 is unreleased"),
        ("CHANGELOG.md", "[1.2.3] - 2027-02-28", "[Unreleased]", "heading '## [Unreleased]'"),
        ("CHANGELOG.md", "### Added\n\n- One.", "", "the section of 1.2.3 is empty"),
        ("CHANGELOG.md", "## [", "## ", "has no section"),
        ("CITATION.cff", "\nversion: 1.2.3", "", "CITATION.cff: version None"),
        ("CITATION.cff", "date-released: 2027-02-28\n", "", "date-released None"),
        ("CITATION.cff", "2027-02-28", "2027-02-27", "date-released 2027-02-27"),
    ],
)
def test_what_does_not_fit_is_named(
    checkout: Path, file: str, before: str, after: str, told: str
) -> None:
    text = (checkout / file).read_text()
    assert before in text
    (checkout / file).write_text(text.replace(before, after))
    assert any(told in line for line in problems(checkout, "v1.2.3"))


def test_an_unreleased_version_has_no_date(checkout: Path) -> None:
    changelog, citation = checkout / "CHANGELOG.md", checkout / "CITATION.cff"
    changelog.write_text(
        changelog.read_text().replace("[1.2.3] - 2027-02-28", "[Unreleased] 1.2.3")
    )
    (told,) = problems(checkout, None)
    assert told.startswith("CITATION.cff: date-released 2027-02-28, in CHANGELOG.md None")
    citation.write_text(citation.read_text().replace("date-released: 2027-02-28\n", ""))
    assert problems(checkout, None) == []


def test_the_checkout_s_own_files_are_those_of_a_release_once_dated(tmp_path: Path) -> None:
    for name in ("CHANGELOG.md", "CITATION.cff", "src/vecsetx/_version.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    section = newest_section((tmp_path / "CHANGELOG.md").read_text())
    if section.date is None:
        text = (tmp_path / "CHANGELOG.md").read_text()
        dated = f"[{section.version}] - 2026-12-24"
        text = text.replace(f"[Unreleased] {section.version}", dated)
        (tmp_path / "CHANGELOG.md").write_text(text)
        with (tmp_path / "CITATION.cff").open("a") as file:
            file.write("date-released: 2026-12-24\n")
    assert problems(tmp_path, f"v{section.version}") == []
