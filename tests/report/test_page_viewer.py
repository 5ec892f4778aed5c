"""The score page's viewer, operated in a headless browser."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.accessible import faults
from support.browser import Browser, chromium

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.evaluation.scores import Score, summarize
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.report.page import Report, write_report
from vecsetx.report.scene import HeartView, pack_heart

pytestmark = pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")

NAMES = ("LV", "RV")
CENTERS = {"LV": (-30.0, 0.0, 100.0), "RV": (30.0, 0.0, 100.0)}


def ball(radius, center):
    mesh = trimesh.creation.icosphere(3, radius)
    return Surface((mesh.vertices + center).astype(np.float32), np.asarray(mesh.faces))


def view(name, growth, inferred=()):
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-60, -30, 70]
    label_map = LabelMap(np.zeros((60, 30, 30), np.uint8), affine)
    places = label_map.to_mm(np.moveaxis(np.indices(label_map.shape), 0, -1))
    for label, center in enumerate(CENTERS.values(), start=1):
        label_map.labels[np.linalg.norm(places - center, axis=-1) < 20] = label
    truth = {part: ball(20, center) for part, center in CENTERS.items()}
    made = {part: ball(20 + growth, center) for part, center in CENTERS.items()}
    return HeartView(name, truth, made, 0.9, label_map, NAMES, inferred)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    dice = {"good": 0.95, "middling": 0.9, "bad": 0.8}
    rows = [
        Score(heart, part, "found", {"dice": value, "iou": value, "assd_mm": 1 - value})
        for heart, value in dice.items()
        for part in NAMES
    ]
    hearts = [
        pack_heart(view(name, growth, inferred))
        for name, growth, inferred in zip(dice, (0.5, 1.5, 3), ((), ("RV",), ()), strict=True)
    ]
    write_report(folder / "report.html", Report("Hearts", summarize(rows), (), hearts, {"a": "b"}))
    with Browser(folder / "profile", 800, 700) as browser:
        browser.open(folder / "report.html")
        browser.wait("document.getElementById('viewer')?.dataset.ready === '0'")
        yield browser
    shutil.rmtree(folder / "profile", ignore_errors=True)


@pytest.fixture(autouse=True)
def reset(page):
    """Reset every control after a test."""
    yield
    choose(page, "colouring", "structure")
    for name, value in {"opacity": 1, "explode": 0}.items():
        move(page, name, value)
    choose(page, "clip", "none")
    page.click("#all")
    page.click("button[data-view=Front]")


def choose(page, name, value):
    page.run(
        f"(() => {{ const e = document.getElementById('{name}'); e.value = '{value}';"
        "for (const kind of ['input', 'change'])"
        " e.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )


move = choose


def settled(page):
    """Wait until k3d has drawn all meshes."""
    page.wait("document.getElementById('viewer').dataset.ready")
    page.run("new Promise(done => setTimeout(() => requestAnimationFrame(done), 250))")


def share(page, selector, condition, where="true"):
    """Share of a canvas's pixels x, y whose r, g, b fulfil JavaScript conditions."""
    settled(page)
    return page.run(
        f"""(() => {{
        const from = document.querySelector("{selector}");
        const copy = document.createElement("canvas");
        [copy.width, copy.height] = [from.width, from.height];
        const context = copy.getContext("2d");
        context.fillStyle = "white"; // the scenes' background is transparent
        context.fillRect(0, 0, copy.width, copy.height);
        context.drawImage(from, 0, 0);
        const found = context.getImageData(0, 0, copy.width, copy.height).data;
        let count = 0;
        for (let n = 0; n < found.length; n += 4) {{
            const [r, g, b] = found.subarray(n, n + 3);
            const x = (n / 4) % copy.width, y = Math.floor(n / 4 / copy.width);
            if (({condition}) && ({where})) count++;
        }}
        return count / (found.length / 4); }})()"""
    )


RED, BLUE = "r > b + 40", "b > r + 40"
EDGES = "x < 2 || y < 2 || x >= copy.width - 2 || y >= copy.height - 2"


def test_the_page_requests_nothing_and_logs_no_errors(page):
    page.run("1")
    # Chromium's own notes on how fast its software renderer is.
    assert [text for text in page.complaints if "GL Driver Message" not in text] == []
    assert page.requests[0].startswith("file://")
    # Some releases of plotly.js hold images, whose addresses are their contents.
    assert [address for address in page.requests[1:] if not address.startswith("data:")] == []


def test_a_click_on_a_structure_hides_it_in_scenes_and_slices(page):
    scene = "#truth canvas"
    assert share(page, scene, RED) > 0.01
    red, blue = share(page, "#axial", RED), share(page, "#axial", BLUE)
    assert min(red, blue) > 0.02
    page.click("[data-name=LV]")
    assert page.run("document.querySelector('[data-name=LV]').ariaPressed") == "false"
    assert share(page, scene, RED) == 0
    assert share(page, scene, BLUE) > 0.01
    assert share(page, "#axial", RED) == 0
    page.click("#all")
    assert share(page, "#axial", RED) == pytest.approx(red)


def test_opacity_fades(page):
    solid = share(page, "#reconstruction canvas", "r > b + 110")
    move(page, "opacity", 0.2)
    assert share(page, "#reconstruction canvas", "r > b + 110") < 0.2 * solid


def test_clipping_keeps_one_side_and_can_be_flipped(page):
    choose(page, "clip", "sagittal")
    assert not page.run("document.getElementById('clip-place').disabled")
    # Left of the middle remains, where the patient's LV ball is.
    scene = "#truth canvas"
    first = share(page, scene, RED), share(page, scene, BLUE)
    page.click("#clip-side")
    second = share(page, scene, RED), share(page, scene, BLUE)
    assert sorted([first[0] > 0.01, second[0] > 0.01]) == [False, True]
    assert (first[0] > 0.01) == (second[1] > 0.01)
    page.click("#clip-side")


def test_explode_moves_structures_apart(page):
    def width():
        settled(page)
        return page.run(
            """(() => { const from = document.querySelector("#truth canvas");
            const copy = document.createElement("canvas");
            [copy.width, copy.height] = [from.width, from.height];
            const context = copy.getContext("2d");
            context.drawImage(from, 0, 0);
            const row = context.getImageData(0, copy.height / 2, copy.width, 1).data;
            const there = [];
            for (let n = 0; n < row.length; n += 4)
              if (Math.abs(row[n] - row[n + 2]) > 50) there.push(n / 4);
            return there.at(-1) - there[0]; })()"""
        )

    before = width()
    move(page, "explode", 0.5)
    # Middles 60 mm apart become 90, of balls 40 wide: 100 becomes 130.
    assert width() == pytest.approx(1.3 * before, rel=0.08)


def test_distances_are_a_heat_map(page):
    reddish = "r > g + 25 && r > b + 25"
    choose(page, "heart", 2)
    page.wait("document.getElementById('viewer').dataset.ready === '2'")
    choose(page, "colouring", "distance")
    settled(page)
    assert not page.run("document.getElementById('scale').hidden")
    # 3 mm beyond the truth everywhere: nothing of the RV is blue any more.
    assert share(page, "#reconstruction canvas", BLUE) == 0
    assert share(page, "#reconstruction canvas", reddish) > 0.02
    choose(page, "most", 10)
    assert share(page, "#reconstruction canvas", "r > g + 90") < 0.01
    choose(page, "most", 3)
    choose(page, "heart", 0)
    page.wait("document.getElementById('viewer').dataset.ready === '0'")


def test_the_menu_the_arrows_and_the_ranks_open_hearts(page):
    page.click("#next")
    page.wait("document.getElementById('viewer').dataset.ready === '1'")
    assert "0.900" in page.run("document.querySelector('[data-name=LV]').textContent")
    page.click("button.rank.worst")
    page.wait("document.getElementById('viewer').dataset.ready === '2'")
    assert page.run("document.querySelector('button.rank.worst').ariaCurrent") == "true"
    page.click("#next")
    page.wait("document.getElementById('viewer').dataset.ready === '0'")


def test_inferred_structures_are_translucent_with_a_dashed_contour(page):
    def contour(condition):
        for layer in ("input", "truth"):
            page.click(f"#show-{layer}")
        found = share(page, "#axial", condition)
        for layer in ("input", "truth"):
            page.click(f"#show-{layer}")
        return found

    chip = "document.querySelector('[data-name={}]').innerText"
    strong = {"RV": "b > r + 90", "LV": "r > b + 90"}
    solid = {name: share(page, "#reconstruction canvas", strong[name]) for name in NAMES}
    lines = {"RV": contour(BLUE), "LV": contour(RED)}
    assert not page.run("document.getElementById('inferred-note').checkVisibility()")
    choose(page, "heart", 1)
    page.wait("document.getElementById('viewer').dataset.ready === '1'")
    assert "inferred" in page.run(chip.format("RV"))
    assert "inferred" not in page.run(chip.format("LV"))
    note = page.run("document.getElementById('inferred-note').innerText")
    assert "input did not contain RV" in note
    # Both are 1 mm thicker now, and one of them is faint.
    assert share(page, "#truth canvas", strong["RV"]) > 0.8 * solid["RV"]
    assert share(page, "#reconstruction canvas", strong["RV"]) < 0.1 * solid["RV"]
    assert share(page, "#reconstruction canvas", "b > r + 15") > 0.9 * solid["RV"]
    assert share(page, "#reconstruction canvas", strong["LV"]) > 0.9 * solid["LV"]
    assert contour(RED) == pytest.approx(lines["LV"] * 21.5 / 20.5, rel=0.1)
    assert contour(BLUE) < 0.85 * lines["RV"]
    page.click("[data-name=RV]")
    assert share(page, "#reconstruction canvas", "b > r + 15") < 0.01
    page.click("#all")
    choose(page, "heart", 0)
    page.wait("document.getElementById('viewer').dataset.ready === '0'")
    assert "inferred" not in page.run(chip.format("RV"))


def test_sliders_move_the_planes_and_show_their_position(page):
    assert page.run("document.getElementById('axial-mm').textContent") == "S 100.0 mm"
    before = share(page, "#axial", RED)
    move(page, "axial-place", 15)
    assert page.run("document.getElementById('axial-mm').textContent") == "S 115.0 mm"
    # A ball of 20 mm, 15 mm off its middle: 13.2 mm.
    assert share(page, "#axial", RED) == pytest.approx(before * (13.2 / 20) ** 2, rel=0.3)
    move(page, "axial-place", 0)


def test_layers_of_the_slices_can_be_hidden(page):
    for layer in ("input", "truth", "reconstruction"):
        page.click(f"#show-{layer}")
    assert share(page, "#axial", f"{RED} || {BLUE}") == 0
    for layer in ("input", "truth", "reconstruction"):
        page.click(f"#show-{layer}")


def test_keys_rotate_both_scenes_and_the_letters_follow(page):
    mark = "document.querySelector('.pair .edge.left').textContent"
    assert page.run(mark) == "R"
    page.run("document.getElementById('truth').focus()")
    for _ in range(9):
        page.key("ArrowRight")
    assert page.run(mark) in ("A", "P")


def test_dragging_rotates_both_scenes(page):
    box = page.run(
        "(() => { const e = document.querySelector('#truth');"
        "e.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    before = share(page, "#reconstruction canvas", BLUE)
    page.drag((x, y), (x + 120, y))
    assert page.run("document.querySelector('.pair .edge.left').textContent") != "R"
    assert share(page, "#reconstruction canvas", BLUE) != before


def test_a_large_heart_fits_into_a_narrow_window(tmp_path):
    """Else its sides would be cut off at the edges of the picture."""
    large = {part: ball(50, (3 * x, y, z)) for part, (x, y, z) in CENTERS.items()}
    row = Score("large", "LV", "found", {"dice": 0.9, "iou": 0.9, "assd_mm": 1.0})
    hearts = [pack_heart(replace(view("large", 1), truth=large, reconstruction=large))]
    write_report(tmp_path / "a.html", Report("Hearts", summarize([row]), (), hearts, {"a": "b"}))
    window = {"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    with Browser(tmp_path / "profile") as page:
        page.send("Emulation.setDeviceMetricsOverride", **window)  # Chromium's own has 500 at least
        page.open(tmp_path / "a.html")
        for side in ("Front", "Above"):
            page.wait("document.getElementById('viewer')?.dataset.ready === '0'")
            page.click(f"button[data-view={side}]")
            left, right = (share(page, "#truth canvas", color) for color in (RED, BLUE))
            assert min(left, right) > 0.02
            assert share(page, "#truth canvas", f"{RED} || {BLUE}", EDGES) == 0


def test_everyone_can_use_the_page(page):
    assert faults(page) == []


def test_keys_hide_structures_and_show_one_alone(page):
    pressed = "[...document.querySelectorAll('.chip')].map((chip) => chip.ariaPressed)"
    page.run("document.querySelector('[data-name=RV]').focus()")
    for key, shift, shown in (
        ("Enter", False, ["true", "false"]),
        ("Enter", True, ["false", "true"]),
        (" ", False, ["false", "false"]),
    ):
        page.key(key, shift)
        assert page.run(pressed) == shown
