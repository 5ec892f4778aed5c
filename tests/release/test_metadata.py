"""What others read of the project: citation, archive, issue forms, workflows."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_version import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
ZENODO = json.loads((ROOT / ".zenodo.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

# https://github.com/citation-file-format/citation-file-format/blob/1.2.0/schema.json
REQUIRED = {"cff-version", "message", "title", "authors"}
ALLOWED = REQUIRED | {
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "preferred-citation", "references", "repository"),
    *("repository-artifact", "repository-code", "type", "url", "version"),
}


def test_the_citation_keeps_to_its_schema() -> None:
    assert REQUIRED <= CITATION.keys() <= ALLOWED
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    for reference in CITATION["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert re.fullmatch(r"10\.\d{4,9}/\S+", reference["doi"])
    for author in (
        *CITATION["authors"],
        *(a for r in CITATION["references"] for a in r["authors"]),
    ):
        assert author.keys() in ({"name"}, {"family-names", "given-names"})


def test_all_files_name_the_same_work() -> None:
    assert CITATION["title"] == ZENODO["title"]
    assert CITATION["keywords"] == ZENODO["keywords"]
    assert CITATION["license"] == ZENODO["license"] == PROJECT["license"]
    assert CITATION["authors"] == ZENODO["creators"] == PROJECT["authors"]
    cited = {r["doi"].removeprefix("10.48550/arXiv.") for r in CITATION["references"]}
    assert cited == {r["identifier"].removeprefix("arXiv:") for r in ZENODO["related_identifiers"]}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_asks_under_names_that_differ(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= form.keys()
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["type"] in ("input", "textarea") for field in asked)
    ids, labels = [f["id"] for f in asked], [f["attributes"]["label"] for f in asked]
    assert len(set(ids)) == len(ids)
    assert len(set(labels)) == len(labels)
    assert any(field.get("validations", {}).get("required") for field in asked)


def test_a_bug_comes_with_what_doctor_says() -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text())
    (doctor,) = (f for f in form["body"] if "vecsetx doctor" in f["attributes"].get("label", ""))
    assert doctor["validations"]["required"]


def jobs_of(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text())["jobs"])


def test_only_publishing_may_name_itself_to_pypi_and_only_the_release_may_write() -> None:
    release = ROOT / ".github" / "workflows" / "release.yml"
    assert yaml.safe_load(release.read_text())["permissions"] == {}
    assert {name: job.get("permissions") for name, job in jobs_of(release).items()} == {
        "build": {"contents": "read"},
        "publish": {"id-token": "write"},
        "github-release": {"contents": "write"},
    }
    assert jobs_of(release)["publish"]["needs"] == "build"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_puts_what_others_write_into_a_shell(path: Path) -> None:
    for job in jobs_of(path).values():
        assert "timeout-minutes" in job
        for step in job["steps"]:
            assert not re.search(r"\$\{\{\s*(github|inputs)\.", step.get("run", ""))
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(release/)?v\d+", step["uses"])
