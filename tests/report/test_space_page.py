"""The page of a shape space: what it holds, and its viewer in a headless browser."""

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.accessible import faults
from support.browser import Browser, chromium
from support.shape_space import fitted_space
from support.waiting import wait_until

import vecsetx
from vecsetx.data.dataset import DataSet
from vecsetx.population.heart_space import HeartSpace
from vecsetx.progress import NoProgress
from vecsetx.report.space_page import most_unusual_first, write_space_page
from vecsetx.report.space_scene import SpacePageSize, page_shapes

SIZE = SpacePageSize(faces=3000, modes=1, drawn=3, shown=1, fitted=2)


@pytest.fixture(scope="module")
def space(dataset: DataSet) -> HeartSpace:
    return vecsetx.load_shape_space(fitted_space(dataset))


@pytest.fixture(scope="module")
def page(space: HeartSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space-page") / "report.html"
    write_space_page(path, space, space.saved.cohort.names[0], NoProgress(), SIZE)
    return path


def test_shapes_are_modes_new_hearts_and_the_most_unusual_fitted_ones(space: HeartSpace) -> None:
    unusual = most_unusual_first(space.saved.cohort)
    assert sorted(unusual) == sorted(space.saved.cohort.names)
    shapes = page_shapes(space, unusual, SIZE)
    assert [shape.name for shape in shapes if shape.viewed] == [
        "mode 1",
        "new heart 1",
        *unusual[:2],
    ]
    assert len(shapes) == 1 + 3 + 2
    mode = shapes[0]
    for place, row in zip(mode.places, mode.coordinates, strict=True):
        np.testing.assert_array_equal(row, [place, 0])
    again = page_shapes(space, unusual, SIZE)
    np.testing.assert_array_equal(again[2].coordinates[0], shapes[2].coordinates[0])


def test_the_page_holds_what_was_measured(page: Path, space: HeartSpace) -> None:
    text, cohort = page.read_text("utf-8"), space.saved.cohort
    payload = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    bars, total = payload["plots"]["variance"]["data"]
    np.testing.assert_allclose(bars["y"], space.saved.space.position_shares, atol=1e-4)
    assert total["y"][-1] == pytest.approx(1)
    fitted, new = payload["plots"]["coordinates"]["data"]
    np.testing.assert_allclose(fitted["x"], cohort.coordinates[:, 0], atol=1e-3)
    assert len(new["x"]) == 3
    fitted, new = payload["plots"]["volumes"]["data"]
    lv = [ml for name, ml in zip(fitted["x"], fitted["y"], strict=True) if name == "LV"]
    np.testing.assert_allclose(
        lv, cohort.volumes_ml[:, space.saved.structures.index("LV")], atol=0.01
    )
    drawn = [ml for name, ml in zip(new["x"], new["y"], strict=True) if name == "LV"]
    assert len(drawn) == 3
    assert min(lv) / 2 < min(drawn) <= max(drawn) < 2 * max(lv)
    blob = re.search(r'id="space-hearts">(.*?)</script>', text, re.S)[1]
    stored = gzip.decompress(base64.b64decode(blob))
    layout = payload["space"]
    vertices, faces = (sum(m[part] for m in layout["meshes"]) for part in ("vertices", "faces"))
    hearts = 1 + sum(len(shape["places"]) for shape in layout["shapes"])
    assert len(stored) == 9 * (hearts * vertices + faces)
    for name in cohort.names:
        assert name in text


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("Chromium is not installed")
    with Browser(page.parent / "profile", 900, 900) as browser:
        browser.open(page)
        browser.wait("document.getElementById('viewer')?.dataset.ready")
        yield browser
    shutil.rmtree(page.parent / "profile", ignore_errors=True)


def picture(browser: Browser) -> list[int]:
    return browser.picture("#space-scene canvas")


def slide(browser: Browser, place: float) -> None:
    browser.run(
        f"(() => {{ const e = document.getElementById('place'); e.value = {place};"
        "e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def changed(browser: Browser, before: list[int]) -> int:
    """Return how many places of the picture look clearly different."""
    return int((np.abs(np.subtract(picture(browser), before)) > 25).sum())


def test_the_slider_moves_the_heart_along_the_mode_and_back(browser: Browser) -> None:
    mean = picture(browser)
    assert (np.array(mean) < 200).mean() > 0.05
    slide(browser, 3)
    assert browser.run("document.getElementById('place-text').textContent") == "3.0 s.d."
    assert wait_until(lambda: changed(browser, mean) > 30)  # drawing may take its time
    end = picture(browser)
    slide(browser, 2.2)  # between two hearts of the page
    assert wait_until(lambda: changed(browser, end) > 5)
    slide(browser, 0)
    assert wait_until(lambda: changed(browser, mean) == 0)


def test_playing_goes_to_and_fro_until_it_is_stopped(browser: Browser) -> None:
    place = "Number(document.getElementById('viewer').dataset.place)"
    browser.click("#play")
    browser.wait(f"{place} > 2")
    browser.wait(f"{place} < -2")
    browser.click("#play")
    stopped = browser.run(place)
    browser.run("new Promise(done => setTimeout(done, 300))")
    assert browser.run(place) == stopped


def test_a_click_on_a_heart_shows_it(browser: Browser, space: HeartSpace) -> None:
    name = most_unusual_first(space.saved.cohort)[1]
    browser.click(f"button[data-heart='{name}']")
    shown = "document.getElementById('shape').selectedOptions[0].textContent"
    assert browser.run(shown) == name
    assert browser.run("document.getElementById('place-text').textContent") == "100% of the way"


def test_a_chip_hides_its_structure(browser: Browser) -> None:
    before = picture(browser)
    browser.click(".chip[data-name=RV]")
    assert wait_until(lambda: changed(browser, before) > 30)
    browser.click("#all")
    assert wait_until(lambda: changed(browser, before) == 0)


def test_the_page_loads_nothing_and_complains_of_nothing(browser: Browser) -> None:
    of_pictures = "GPU stall due to ReadPixels"  # which these tests take
    assert [text for text in browser.complaints if of_pictures not in text] == []
    assert [r for r in browser.requests if not r.startswith(("file:", "data:", "blob:"))] == []


def test_everyone_can_use_the_page(browser: Browser) -> None:
    assert faults(browser) == []
