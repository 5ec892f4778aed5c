"""The page of a cycle: what it holds, and its player in a headless browser."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.accessible import faults
from support.browser import Browser, chromium
from support.waiting import wait_until

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.reconstruction.surfaces import Surface, label_map_surfaces
from vecsetx.report.cine_page import write_cine_page
from vecsetx.report.cine_scene import pack_frame

RADII_MM = {2: 40.0, 3: 30.0, 5: 20.0}


def surfaces(lv_mm: float) -> dict[str, Surface]:
    steps = np.arange(-50, 50, 4.0)
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    labels = (np.linalg.norm(points, axis=-1) < lv_mm).astype(np.uint8)
    labels[:3] = 2
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -50
    return label_map_surfaces(LabelMap(labels, affine), ("LV", "RA"))


def summary() -> dict:
    numbers = {"value": 87.5, "reason": ""}
    unknown = {"value": None, "reason": "the RV is not shown in frame 3"}
    names = ("end_diastolic_ml", "end_systolic_ml", "stroke_ml", "ejection_fraction_percent")
    return {
        "cycle": {
            "frames": 6,
            "step_ms": 100.0,
            "reconstructed": list(RADII_MM),
            "left_out": {},
            "end_diastole": 2,
            "end_systole": 5,
            "numbers": {
                **{f"LV_{name}": numbers for name in names},
                **{f"RV_{name}": unknown for name in names},
            },
        },
        "volumes": {
            str(number): {
                "LV_volume_ml": {"value": radius, "reason": ""},
                "RV_volume_ml": unknown,
            }
            for number, radius in RADII_MM.items()
        },
        "remarks": ["frame 4 was left out: <b>it shows no LV</b>"],
        "provenance": {"input": ["/a/cine.nii.gz"], "model": "built-in", "version": "0"},
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cine-page") / "heart.html"
    frames = {number: pack_frame(surfaces(radius), 600) for number, radius in RADII_MM.items()}
    times = {number: 100.0 * (number - 1) for number in RADII_MM}
    write_cine_page(path, "cine", frames, times, summary())
    return path


def test_the_page_holds_frames_volumes_and_reasons(page: Path) -> None:
    text = page.read_text("utf-8")
    payload = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    (lv,) = payload["plots"]["volumes"]["data"]
    assert (lv["x"], lv["y"]) == ([100, 200, 400], [40, 30, 20])
    assert [one["number"] for one in payload["frames"]] == [2, 3, 5]
    assert [one["mark"] for one in payload["frames"]] == ["end diastole", "", "end systole"]
    for one in payload["frames"]:
        assert sum(mesh["faces"] for mesh in one["layout"]["meshes"]) <= 660
    assert "87.5 %" in text
    assert "the RV is not shown in frame 3" in text
    assert "<b>it shows" not in text


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("Chromium is not installed")
    with Browser(page.parent / "profile", 900, 900) as browser:
        browser.open(page)
        browser.wait("document.getElementById('viewer')?.dataset.ready")
        yield browser
    shutil.rmtree(page.parent / "profile", ignore_errors=True)


def dark(browser: Browser) -> int:
    return int((np.array(browser.picture("#cine-scene canvas")) < 200).sum())


def slide(browser: Browser, place: int) -> None:
    browser.run(
        f"(() => {{ const e = document.getElementById('frame'); e.value = {place};"
        "e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def test_the_slider_shows_one_frame_at_a_time(browser: Browser) -> None:
    text = "document.getElementById('frame-text').textContent"
    browser.click(".chip[data-name=RA]")  # hidden: only the LV is left
    seen = []
    for place, told in enumerate(
        ("2, 100 ms, end diastole", "3, 200 ms", "5, 400 ms, end systole")
    ):
        slide(browser, place)
        assert browser.run(text) == told
        if seen:
            assert wait_until(lambda: dark(browser) < 0.8 * seen[-1])
        seen.append(dark(browser))
    # The areas of the balls' shadows.
    np.testing.assert_allclose(np.array(seen) / seen[0], [1, 9 / 16, 4 / 16], atol=0.08)
    browser.click("#all")
    assert wait_until(lambda: dark(browser) > 1.2 * seen[-1])


def test_playing_goes_round_until_it_is_paused(browser: Browser) -> None:
    frame = "document.getElementById('viewer').dataset.frame"
    browser.click("#play")
    assert browser.run("document.getElementById('play').textContent") == "Pause"
    for number in ("1", "2", "0", "1"):
        browser.wait(f"{frame} === '{number}'")
    browser.click("#play")
    stopped = browser.run(frame)
    browser.run("new Promise(done => setTimeout(done, 900))")
    assert browser.run(frame) == stopped
    assert browser.run("document.getElementById('play').textContent") == "Play"


def test_the_page_loads_nothing_and_complains_of_nothing(browser: Browser) -> None:
    of_pictures = "GPU stall due to ReadPixels"  # which these tests take
    assert [text for text in browser.complaints if of_pictures not in text] == []
    assert [r for r in browser.requests if not r.startswith(("file:", "data:", "blob:"))] == []


def test_buttons_show_the_heart_from_all_sides(browser: Browser) -> None:
    edge = "document.querySelector('.edge.right').textContent"
    seen = {}
    for name in browser.run(
        "[...document.querySelectorAll('#views button')].map(({dataset}) => dataset.view).join()"
    ).split(","):
        browser.click(f"#views button[data-view={name}]")
        seen[name] = browser.run(edge)
    assert (seen["Front"], seen["Back"]) == ("L", "R")
    assert len({*seen.values()}) >= 3


def test_everyone_can_use_the_page(browser: Browser) -> None:
    assert faults(browser) == []
