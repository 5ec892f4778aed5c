"""The page of one reconstructed heart."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.accessible import faults
from support.browser import Browser, chromium

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.report.reconstruction_page import write_reconstruction_page
from vecsetx.report.scene import HeartView

NAME = "</script><b>case&1"


def ball(radius: float, x: float) -> Surface:
    mesh = trimesh.creation.icosphere(3, radius)
    return Surface((mesh.vertices + [x, 0, 0]).astype(np.float32), np.asarray(mesh.faces))


def structure(volume_ml: float, agreement: dict | None, observed: bool) -> dict:
    share = 0.62 if observed else 0.0
    shown = {"volume_ml": volume_ml, "labels_ml": 33.1, "agreement": agreement, "pieces": 1}
    doubtful = None if observed else ["33.5 ml <b>"]
    shown |= {"specks": None, "decimation": None, "input_width_mm": 2.1 if observed else None}
    return shown | {"observed": observed, "observed_share": share, "doubtful": doubtful}


SUMMARY = {
    "structures": {
        "LV": structure(
            101.2,
            {
                **{"ml": 99.93, "input_ml": 90.03, "dice": 0.951},
                **{"volume_difference": 0.11, "volume_differs": True},
            },
            True,
        ),
        "RV": structure(33.5, None, False),
    },
    "provenance": {
        **dict.fromkeys(("model", "version", "recycled", "surfaces"), "told"),
        "keep_observed": False,
        **{
            "refined": None,
            "refine": None,
            "lacks": "shows nothing of RV",
            "input": NAME,
            "latents": 512,
            "points": 8192,
            "remarks": ["a remark <i>"],
            **{"mesh_resolution_mm": 2.875, "space": "LPS", "turned_deg": 12.34},
            **{"hidden": ["RV", "PA"], "seed": 7, "not_compared": None},
            "complete": False,
        },
    },
}


def write(path: Path, with_input: bool = True, points: dict | None = None) -> str:
    label_map = LabelMap(np.zeros((30, 20, 20), np.uint8), np.diag([4.0, 4, 4, 1]))
    given = {"LV": ball(20, -30)} if with_input else {}
    view = HeartView(
        name=NAME,
        truth=given,
        reconstruction={"LV": ball(21, -30), "RV": ball(20, 30)},
        dice=math.nan,
        input_map=label_map if with_input else None,
        structures=("LV", "RV"),
        inferred=("RV",),
        points=points or {},
    )
    write_reconstruction_page(path, view, SUMMARY)
    return path.read_text()


def test_the_page_is_one_file_with_every_figure(tmp_path: Path) -> None:
    text = write(tmp_path / "heart.html")
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", text)
    assert "connect-src" not in text
    assert "default-src 'none'" in text
    words = re.sub(r"<[^>]+>", " ", text[text.index("<h2>Structures") : text.index('id="data"')])
    words = " ".join(words.split())
    assert "99.9 90.0 +11.0% ! 0.951 101.2 1 observed (62%)" in words
    assert "33.1 33.5 1 inferred doubtful" in words
    for fact in (
        *("keep observed no", "mesh resolution mm 2.88", "space LPS", "turned deg 12.3"),
        *("hidden RV, PA", "seed 7"),
    ):
        assert fact in words
    assert "None" not in words
    (box,) = re.findall(r'<section class="callout" id="remarks">(.*?)</section>', text, re.DOTALL)
    listed = [
        " ".join(re.sub(r"<[^>]+>", "", item).split())
        for item in re.findall(r"<li.*?>(.*?)</li>", box, re.DOTALL)
    ]
    assert listed == [
        "! over 10% off the input&#39;s volume: LV",
        "Meshed with voxels of 2.9 mm, which may break vessels that are less than twice as wide: "
        "LV (2.1 mm); --resolution-mm 1 is fine enough",
        "RV is doubtful: 33.5 ml &lt;b&gt;",
        "Not refined, as the input shows nothing of RV (--hide RV,PA); --refine 10 refines it all "
        "the same, but may worsen what is inferred",
        "A remark &lt;i&gt;",
    ]
    assert '<span class="option">--resolution-mm</span>' in box
    assert "512" in words
    assert NAME not in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    (heart,) = data["hearts"]
    assert heart["dice"] == {"LV": 0.951, "RV": None}
    assert [mesh["name"] for mesh in heart["layout"]["truth"]] == ["LV"]
    assert [mesh["name"] for mesh in heart["layout"]["reconstruction"]] == ["LV", "RV"]


@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
@pytest.mark.parametrize("with_input", [True, False])
def test_a_browser_shows_it_without_a_request_or_an_error(with_input: bool, tmp_path: Path) -> None:
    write(tmp_path / "heart.html", with_input)
    with Browser(tmp_path / "profile", 800, 700) as browser:
        browser.open(tmp_path / "heart.html")
        browser.wait("document.getElementById('viewer')?.dataset.ready === '0'")
        assert browser.run("document.querySelector('#viewer h2').textContent") == (
            "Input and reconstruction"
        )
        browser.click("[data-name=LV]")
        browser.wait("document.getElementById('viewer').dataset.ready")
        assert [text for text in browser.complaints if "GL Driver Message" not in text] == []
        assert len(browser.requests) == 1
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


def ink(browser: Browser, canvas: str) -> int:
    """Pixels of a canvas, scaled to 80 by 80, that are darker than its light ground."""
    return sum(grey < 150 for grey in browser.picture(canvas))


@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
def test_an_input_of_points_is_shown_as_points(tmp_path: Path) -> None:
    """Their places and colours hide with their structure; they print as a still picture."""
    points = {"LV": ball(20, -30).vertices_mm}
    write(tmp_path / "heart.html", False, points)
    with Browser(tmp_path / "profile", 1000, 700) as browser:
        browser.open(tmp_path / "heart.html")
        browser.wait("document.getElementById('viewer')?.dataset.ready === '0'")
        assert faults(browser) == []
        assert browser.run("document.getElementById('truth-note').textContent") == "without RV"
        assert not browser.run("document.getElementById('colouring').checkVisibility()")
        left = "[...document.querySelectorAll('#truth canvas')].length"
        assert browser.run(left) == 1
        shown, sliced = ink(browser, "#truth canvas"), coloured(browser)
        browser.run("""addEventListener("beforeprint", () => {
          const stills = [...document.querySelectorAll(".scene + .still")];
          window.stills = stills.map((still) => new Set(
            still.getContext("2d").getImageData(0, 0, still.width, still.height).data).size);
        })""")
        browser.send("Page.printToPDF")
        assert len(browser.run("window.stills")) == 2
        assert min(browser.run("window.stills")) > 10  # not empty
        assert browser.run("document.querySelectorAll('.still').length") == 0
        browser.click("[data-name=LV]")
        browser.wait("document.querySelector('[data-name=LV]').ariaPressed === 'false'")
        assert shown > 100
        assert ink(browser, "#truth canvas") == 0
        assert sliced > 0
        assert coloured(browser) == 0
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


def coloured(browser: Browser) -> int:
    """Red pixels of the axial slice, where only the input is shown."""
    browser.run("""(() => { const box = document.getElementById("show-reconstruction");
      if (box.checked) box.click(); })()""")
    return browser.run("""(() => { const canvas = document.getElementById("axial");
      const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return pixels.filter((red, n) => n % 4 === 0 && red > pixels[n + 2] + 60).length; })()""")
