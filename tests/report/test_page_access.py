"""Pages of plots and tables: for keyboards, for weak eyes and on paper."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.accessible import faults
from support.browser import Browser, chromium

from vecsetx import __version__
from vecsetx.report.calibration_page import write_calibration_page
from vecsetx.report.check_page import write_check_page
from vecsetx.report.comparison_page import write_comparison_page
from vecsetx.report.curves import write_curves
from vecsetx.training.diagnosis import diagnose

pytestmark = pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")


def curves(path: Path) -> None:
    entries: list[dict[str, Any]] = [
        {
            **{"step": 10 * n, "split": "train", "loss": 3 / n, "lr": 0.01 / n, "waiting": 0.1},
            "terms": {"near": 2 / n, "inside": 1 / n},
        }
        for n in range(1, 60)
    ]
    entries.append({"step": 500, "split": "val", "error": "a fault", "seconds": 1.0})
    write_curves(path, "run", entries, diagnose(entries))


def calibration(path: Path) -> None:
    one = {
        **{"vertices": 100, "mean_sd_mm": 1.0, "rms_error_mm": 1.1, "rank_correlation": 0.5},
        **{"within": (0.6, 0.9, 0.99), "nominal": (0.2, 0.9), "observed": (0.3, 0.8)},
        "bins": [{"sd_mm": 1.0, "error_mm": 1.2, "vertices": 50}],
    }
    structures = {
        "LV": one | {"hearts": 2, "missed": 0, "factor": 1.2, "own_factor": True},
        "LAA": one | {"hearts": 1, "missed": 1, "factor": 1.5, "own_factor": False},
    }
    for found in structures.values():
        found["within_before"] = (0.4, 0.7, 0.9)
    written = {
        **{"before": one, "after": one, "few": True, "factor": 1.5, "date": "2026-11-30"},
        **{"hearts_fitted": ["a"], "hearts_tested": ["b", "c"], "members": 8},
        **{"structures": structures, "provenance": {"model": "run"}},
        **{"beyond": {"before": one, "after": one}, "cut_factor": 1.1},
    }
    write_calibration_page(path, written)


def comparison(path: Path) -> None:
    one = {
        **{"a": 0.9, "b": 0.92, "difference": 0.02, "interval": [0.01, 0.03]},
        **{"range": [-0.01, 0.05], "p": 0.01, "p_holm": None, "n": 12},
    }
    found = {"mean": {"dice": one}, "structures": {"LV": {"dice": one}}}
    written = {
        **found,
        **{"models": {"a": {"model": "a"}, "b": {"model": "b"}}, "hearts": ["h"] * 12},
        **{"left_out": {"a": ["PV"], "b": []}, "bootstrap": {"level": 0.95}},
    }
    write_comparison_page(path, written)


def check(path: Path) -> None:
    structure = {
        **{"state": "present", "volume_ml": 90.0, "volume_z": 1.0, "pieces": 1, "slope": 1.0},
        **{"thickness_mm": 12.0, "agreement": 0.97, "inside_share_near": 0.5},
        "points": {"surface": 10, "near": 10, "volume": 10},
    }
    hearts = [
        {
            **{"name": f"heart of {state}", "state": state, "split": "train", "patient": state},
            **{"fold": -1, "cut": state == "look", "untrusted_share": 0.0, "agreement": 0.9},
            **{"inside_share": {"near": 0.5, "volume": 0.2}, "structures": {"LV": structure}},
            **{"problems": ["LV is empty"] * (state == "unfit"), "not_done": []},
            **{"doubts": ["a gap"] * (state == "look"), "remarks": ["a remark"]},
        }
        for state in ("unfit", "look", "fit")
    ]
    limits = {"LV": {"hearts": 3, "median": 90.0, "limits": [40.0, 200.0]}}
    states = {"present": 3, "cut": 0, "absent": 0, "not annotated": 0}
    summary = {
        **{"fit": 1, "look": 1, "unfit": 1, "patients": 3, "splits": {"train": 3}},
        **{"not_done": 0, "states": {"LV": states}},
        "outliers": {"beyond_z": 4.0, "volume_ml": limits, "thickness_mm": limits},
    }
    written = {"state": "unfit", "hearts": hearts, "structures": ["LV"], "summary": summary}
    write_check_page(path, written | {"left_out": {}}, {"heart of fit": "data:image/webp;base64,"})


PAGES: dict[str, Callable[[Path], None]] = {
    written.__name__: written for written in (check, comparison, calibration, curves)
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, write in PAGES.items():
        write(folder / f"{name}.html")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    profile = tmp_path_factory.mktemp("browser") / "profile"
    with Browser(profile, 900, 900) as found:
        yield found
    shutil.rmtree(profile, ignore_errors=True)


def opened(browser: Browser, pages: Path, name: str) -> None:
    size = {"width": 900, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.send("Emulation.setDeviceMetricsOverride", **size)
    browser.open(pages / f"{name}.html")
    browser.wait("document.readyState === 'complete'")
    browser.wait(
        "[...document.querySelectorAll('.plot')].every((e) => e.querySelector('.main-svg'))"
    )


@pytest.mark.parametrize("name", PAGES)
def test_everyone_can_use_the_page(browser: Browser, pages: Path, name: str) -> None:
    opened(browser, pages, name)
    assert faults(browser) == []
    made = browser.run("document.querySelector('.made').textContent")
    assert f"version {__version__}" in made
    assert made.startswith("vecsetx ")
    assert browser.run("document.title").endswith(" · VecSetX")


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_narrow_window(browser: Browser, pages: Path, name: str) -> None:
    opened(browser, pages, name)
    heights = "[...document.querySelectorAll('.main-svg')].map((e) => e.clientHeight)"
    before = browser.run(heights)
    browser.send("Page.printToPDF")
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.send("Emulation.setDeviceMetricsOverride", **size)
    browser.wait(
        "[...document.querySelectorAll('.main-svg')].every((e) => !e.closest('.plot').clientWidth"
        " || e.clientWidth === e.closest('.plot').clientWidth)",
        20,
    )
    assert browser.run("document.documentElement.scrollWidth") == 400
    assert browser.run(heights) == before


def test_a_name_in_a_legend_hides_its_curve_by_keyboard(browser: Browser, pages: Path) -> None:
    opened(browser, pages, "calibration")
    visible = "document.querySelector('[data-plot=reliability]').data[1].visible"
    toggle = "document.querySelectorAll('[data-plot=reliability] .legendtoggle')[1]"
    assert browser.run(f"{toggle}.getAttribute('aria-label')") == "Show uncalibrated"
    for key, hidden in (("Enter", True), (" ", False)):
        browser.run(f"{toggle}.focus()")
        browser.key(key)
        browser.wait(f"({visible} === 'legendonly') === {str(hidden).lower()}", 20)
        browser.wait(
            f"({toggle}.getAttribute('aria-pressed') === 'false') === {str(hidden).lower()}", 20
        )


def test_pages_print_in_light_colours_as_wide_as_the_paper(browser: Browser, pages: Path) -> None:
    opened(browser, pages, "check")
    media = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.send("Emulation.setEmulatedMedia", features=media)
    browser.run("""addEventListener("beforeprint", () => {
      const style = getComputedStyle(document.documentElement);
      window.printed = {
        ground: style.getPropertyValue("--ground").trim(),
        main: document.querySelector("main").clientWidth,
        plots: [...document.querySelectorAll(".main-svg:first-child")].map((e) => e.clientWidth),
        text: getComputedStyle(document.querySelector(".ytick text")).fill,
      };
    })""")
    before = browser.run("getComputedStyle(document.documentElement).getPropertyValue('--ground')")
    browser.send("Page.printToPDF")
    printed = browser.run("window.printed")
    assert (before.strip(), printed["ground"]) == ("#0f1217", "#f5f6f8")
    assert printed["main"] == pytest.approx(180 / 25.4 * 96, abs=1)
    assert max(printed["plots"]) <= printed["main"]
    assert printed["text"] == "rgb(27, 35, 48)"
    browser.wait(
        "getComputedStyle(document.querySelector('.ytick text')).fill === 'rgb(230, 233, 238)'"
    )
    assert browser.run("document.documentElement.dataset.printing ?? null") is None
    wide = "[...document.querySelectorAll('.main-svg:first-child')].map((e) => e.clientWidth)"
    assert min(browser.run(wide)) > printed["main"]
