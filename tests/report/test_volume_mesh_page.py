"""The page of tetrahedral meshes: what it holds, and its viewer in a headless browser."""

import base64
import gzip
import html
import io
import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.accessible import faults
from support.browser import Browser, chromium
from support.regions import REGIONS, made
from support.waiting import wait_until

from vecsetx.report.mesh_drawing import MeshDrawing, draw_mesh, region_color
from vecsetx.report.volume_mesh_page import write_volume_mesh_page
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.mesh_quality import measure_quality
from vecsetx.volume_mesh.pieces import piece_volumes_ml

NAMES = ("LV", "RV", "RVWall")
BAD = "<b>second</b> heart"
SCENE = "#mesh-scene canvas"


@cache
def whole() -> SolverMesh:
    mesh = made(REGIONS, 1.5)
    return SolverMesh(mesh, NAMES, (1, 2, 3), named_interfaces(facets_between(mesh), NAMES))


@cache
def drawing() -> MeshDrawing:
    return draw_mesh(whole())


def heart(missed: tuple[str, ...], rv_ml: float, **more: Any) -> dict[str, Any]:
    volumes_ml = np.array([4.2, rv_ml, np.nan])
    areas_mm2 = np.array([1250.0, 900, np.nan])
    quality = measure_quality(whole().mesh, NAMES, REGIONS.field, volumes_ml, areas_mm2, 1.5)
    return {
        "source": "/scans/one.nii.gz",
        "label_set": "default",
        "edges_mm": dict.fromkeys(NAMES, 1.5),
        "halved": ["RV"],
        "expected_tetrahedra": 52_000,
        "seconds": 12.3,
        **quality.to_dict(),
        "missed": list(missed),
        "remarks": ["the scan cuts RV & more"],
        **more,
    }


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    rv_ml = float(piece_volumes_ml(whole().mesh, 2).sum())
    angle = ("least_dihedral_deg is 3, not at least 8",)
    bad = heart(angle, 1.1 * rv_ml, model="built-in", misfit="no <heart>")
    return {
        "hearts": {"first": heart((), 1.002 * rv_ml), BAD: bad | {"least_dihedral_deg": 3.0}},
        "failed": {"third": "third.nii.gz: has no RV"},
    }


@pytest.fixture(scope="module")
def page(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh-page") / "volume_mesh.html"
    write_volume_mesh_page(path, content, dict.fromkeys(content["hearts"], drawing()))
    return path


def test_the_page_holds_every_number_and_name(page: Path, content: dict[str, Any]) -> None:
    text = page.read_text("utf-8")
    assert BAD not in text
    sections = re.findall(r'<section class="panel heart".*?</section>', text, re.S)
    # Hearts with faults come first.
    for section, name in zip(sections, (BAD, "first"), strict=True):
        of = content["hearts"][name]
        assert f"<h2>{html.escape(name)}" in section
        for said in (
            f"{of['least_dihedral_deg']:.1f}°</td><td>at least 8°",
            f"{of['mean_radius_ratio']:.3f}",
            f"{of['least_radius_ratio']:.3f}",
            f"{of['interface_mean_mm']:.3f} mm</td><td>at most 0.15 mm",
            f"{of['tetrahedra']:,} (52,000 were expected)",
            "RV is too thin for the edges asked for; it has edges of 1.5 mm",
            "the scan cuts RV &amp; more",
        ):
            assert said in section
        for region in of["regions"].values():
            assert f">{region['tetrahedra']:,.0f}</td>" in section
            assert f">{region['volume_ml']:,.2f}</td>" in section
        assert ">4.20</td>" in section  # the input's LV
        # Of the walls that the input does not draw, no volume is compared.
        assert len(re.findall(r"[+-]\d+\.\d\d%", section)) == 2
    bad, good = sections
    assert "no &lt;heart&gt;" in bad
    assert "built-in" in bad
    assert "missed" in re.search(r"<td[^>]*>3\.0°", bad)[0]
    assert "missed" not in re.search(r"<td[^>]*>[\d.]+°", good)[0]
    for section, kind in ((bad, "number missed"), (good, "number")):
        assert (
            re.search(r'<td class="([^"]*)"[^>]*>-[\d.]+%</td>', section.split(">RV<")[1])[1]
            == kind
        )
    assert "2 faults" in bad
    assert "within bounds" in good
    assert "third.nii.gz: has no RV" in text


def test_the_histogram_has_all_tetrahedra_and_both_bounds(
    page: Path, content: dict[str, Any]
) -> None:
    payload = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.S)[1])
    figure = payload["plots"]["angles-1"]
    (bars,) = figure["data"]
    assert sum(count or 0 for count in bars["y"]) == content["hearts"]["first"]["tetrahedra"]
    assert len(bars["y"]) == len(bars["x"]) == 15
    assert [line["x0"] for line in figure["layout"]["shapes"]] == [8, 18]


def test_a_drawing_survives_its_record() -> None:
    plain = json.loads(json.dumps(drawing().to_dict()))
    assert MeshDrawing.from_dict(plain) == drawing()


def test_the_scene_has_each_interface_where_it_is() -> None:
    layout = drawing().layout
    assert [mesh["name"] for mesh in layout["meshes"]] == [each.name for each in whole().interfaces]
    vertices, faces = (
        sum(mesh[part] for mesh in layout["meshes"]) for part in ("vertices", "faces")
    )
    assert len(gzip.decompress(base64.b64decode(drawing().blob))) == 9 * (vertices + faces)
    outer = {mesh["name"] for mesh in layout["meshes"] if mesh["outer"]}
    assert outer == {"RV outside", "RV epicardium"}  # the wall encloses the LV
    points = whole().mesh.points_mm[whole().mesh.on_interfaces()]
    assert layout["low"] == np.floor(points.min(axis=0)).tolist()
    assert layout["high"] == np.ceil(points.max(axis=0)).tolist()


def test_pictures_show_regions_where_planes_cut_them() -> None:
    titles = list(drawing().cuts)
    assert [title.split(",")[0].split(":")[0] for title in titles[:3]] == [
        "Axial",
        "Coronal",
        "Sagittal",
    ]
    assert titles[3].endswith(": the square")
    axial = decoded(drawing().cuts[titles[0]])
    # The balls lie side by side along R, which is on the left.
    size, half_mm = len(axial), 33 / 2 + 4
    for place_mm, name in ((0, "LV"), (15, "RV"), (-11, "RVWall")):
        column = round(size * (1 - (place_mm - 4.5 + half_mm) / (2 * half_mm)))
        around = axial[size // 2 - 12 : size // 2 + 12, column - 8 : column + 8].reshape(-1, 3)
        off = np.abs(around - np.array(region_color(name))).max(axis=1)
        assert np.median(off) < 40, name
    assert (axial[:20, 30:300] < 40).all()  # nothing in the corner


def test_a_region_that_is_no_structure_has_a_color() -> None:
    assert len({region_color(name) for name in ("RA", "RAWall", "mitral valve disc")}) == 3


def decoded(picture: str) -> np.ndarray:
    image = Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1])))
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("Chromium is not installed")
    with Browser(page.parent / "profile", 900, 900) as browser:
        browser.open(page)
        browser.wait("document.getElementById('viewer')?.dataset.ready === '0'")
        yield browser
    shutil.rmtree(page.parent / "profile", ignore_errors=True)


def changed(browser: Browser, before: list[int]) -> int:
    """Return how many places of the scene look clearly different."""
    return int((np.abs(np.subtract(browser.picture(SCENE), before)) > 25).sum())


def test_chips_hide_interfaces_and_show_them_again(browser: Browser) -> None:
    before = browser.picture(SCENE)
    assert (np.array(before) < 200).mean() > 0.01
    browser.click("#inner")
    pressed = "[...document.querySelectorAll('.chip[aria-pressed=true]')].map(c => c.textContent)"
    assert set(browser.run(pressed)) == {
        each.name for each in whole().interfaces if 0 not in each.sides
    }
    assert wait_until(lambda: changed(browser, before) > 20)
    browser.click("#all")
    assert wait_until(lambda: changed(browser, before) == 0)
    browser.click(".chip[data-name='RV outside']")
    assert wait_until(lambda: changed(browser, before) > 20)
    browser.click("#all")
    assert wait_until(lambda: changed(browser, before) == 0)


def test_a_plane_clips_the_scene(browser: Browser) -> None:
    before = browser.picture(SCENE)
    choose = "(() => { const e = document.getElementById('clip'); e.value = '%s';"
    choose += "e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    browser.run(choose % "sagittal")
    assert wait_until(lambda: changed(browser, before) > 20)
    browser.run(choose % "none")
    assert wait_until(lambda: changed(browser, before) == 0)


def test_hearts_are_chosen_by_a_click(browser: Browser) -> None:
    browser.click("button[data-heart='1']")
    browser.wait("document.getElementById('viewer').dataset.ready === '1'")
    name = "document.getElementById('heart').selectedOptions[0].textContent"
    assert browser.run(name) == "first"
    browser.click("#next")
    browser.wait("document.getElementById('viewer').dataset.ready === '0'")
    assert browser.run(name) == BAD


@pytest.mark.parametrize("width", [390, 900])
def test_nothing_is_wider_than_the_window(browser: Browser, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.send("Emulation.setDeviceMetricsOverride", **size)
    browser.wait(f"document.documentElement.scrollWidth === {width}", 20)  # figures follow


def test_the_page_loads_nothing_and_complains_of_nothing(browser: Browser) -> None:
    of_pictures = "GPU stall due to ReadPixels"  # which these tests take
    assert [text for text in browser.complaints if of_pictures not in text] == []
    assert [r for r in browser.requests if not r.startswith(("file:", "data:", "blob:"))] == []


def test_everyone_can_use_the_page(browser: Browser) -> None:
    assert faults(browser) == []
