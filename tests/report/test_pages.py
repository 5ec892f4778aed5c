"""Pages are self-contained, hold all data once, and escape every name."""

import base64
import gzip
import io
import json
import math
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from plotly.offline import get_plotlyjs
from support.accessible import faults
from support.browser import Browser, chromium

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import structure
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.scores import Score, summarize
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.report import figures, scene, slices
from vecsetx.report.check_page import HeartPage, write_check_page, write_heart_page
from vecsetx.report.page import Report, write_report
from vecsetx.report.ranking import chosen, ranks
from vecsetx.report.scene import HeartView, pack_heart
from vecsetx.sampling.samples import HeartInfo, QueryPoints, Samples, SurfacePoints

STRUCTURES = ("Myocardium", "LAA", "Coronary")
HOSTILE = ("<b>&.nii", "</script><script>alert(1)</script>", "{{ 7 * 7 }}'\".nii")
HEARTS = ("case01", *HOSTILE)


class Page(HTMLParser):
    """Elements with their attributes, and texts with the tags of their elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], list[str]]] = []
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), []))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script":
            self.scripts[-1][1].append(data)  # long ones arrive in parts
        if data.strip():
            self.texts.append((self.elements[-1][0], data))

    def visible(self) -> str:
        return " ".join(data for tag, data in self.texts if tag not in ("script", "style"))

    def with_tag(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def packed(self) -> dict[str, bytes]:
        """Gzipped contents by id."""
        return {
            attributes["id"]: gzip.decompress(base64.b64decode("".join(parts)))
            for attributes, parts in self.scripts
            if attributes.get("type") == "application/gzip"
        }

    def payload(self) -> dict:
        start = self.source.index('<script type="application/json" id="data">')
        text = self.source[start:].split(">", 1)[1].split("</script>", 1)[0]
        return json.loads(text)


def sphere(radius: float, subdivisions: int, center=(0.0, 0.0, 0.0)) -> Surface:
    """A sphere with ``20 · 4 ** subdivisions`` faces."""
    mesh = trimesh.creation.icosphere(subdivisions, radius)
    return Surface((mesh.vertices + center).astype(np.float32), np.asarray(mesh.faces))


def spread(mean, n=4):
    return {
        "mean": mean,
        "std": None if mean is None else 0.0123,
        "median": mean,
        "n": n,
        "range": None,
    }


@pytest.fixture
def scores():
    hearts = {
        heart: {
            name: {"dice": 0.5 + 0.1 * k + 0.01 * h, "iou": 0.4}
            for k, name in enumerate(STRUCTURES)
        }
        for h, heart in enumerate(HEARTS)
    }
    hearts["case01"]["LAA"] = {"dice": None, "iou": None}
    hearts[HOSTILE[0]]["Coronary"] = {"dice": 0.0, "iou": 0.0}
    structures = {
        name: {"dice": spread(0.9 - 0.1 * k), "iou": spread(0.7)}
        for k, name in enumerate(STRUCTURES)
    }
    return {
        "summary": {
            "mean": {"dice": 0.8765, "iou": 0.7},
            "range": {"dice": [0.81, 0.93], "iou": [0.6, 0.8]},
            "n": {"dice": 4, "iou": 4},
            "structures": structures,
        },
        "hearts": hearts,
        "provenance": {},
    }


@pytest.fixture
def history():
    train = [
        {
            "step": step,
            "split": "train",
            "loss": 1 / step,
            "lr": 1e-4,
            "terms": {"near": 0.5 / step, "inside": 0.5 / step},
            "seconds": 1.0,
        }
        for step in range(1, 5001)
    ]
    val = [
        {"step": s, "split": "val", "loss": 2 / s, "lr": 1e-4, "terms": {}, "grid_dice": 0.8}
        for s in (2500, 5000)
    ]
    return [*train, *val]


@pytest.fixture
def views():
    truth = {"Myocardium": sphere(40, 3, (10, -20, 300)), "LAA": sphere(9, 2, (-30, 5, 340))}
    return [
        HeartView(name, truth, {"Myocardium": sphere(38, 2, (10, -20, 300))}, 0.9)
        for name in HOSTILE
    ]


def report_page(path, scores, history=(), views=(), provenance=None):
    hearts = [pack_heart(view) for view in views]
    write_report(path, Report("Scores of A & B", scores, history, hearts, provenance or {}))
    return Page(path)


def structure_check(**changes):
    return {
        "state": "present",
        "volume_ml": 120.0,
        "volume_z": 0.5,
        "pieces": 1,
        "thickness_mm": 8.0,
        "thickness_z": -0.5,
        "points": {"surface": 1234, "near": 1234, "volume": 1234},
        "inside_share_near": 0.4,
        "slope": 0.993,
        "steep_share": 0.0,
        "agreement": 0.97,
    } | changes


def heart_check(name, state="fit", **changes):
    nothing = dict.fromkeys(structure_check())
    return {
        "name": name,
        "split": "val",
        "fold": 0,
        "patient": f"patient of {name}",
        "state": state,
        "problems": [f"Coronary: no points in {name}"] if state == "unfit" else [],
        "doubts": ["the heart is rotated by 173°"] if state == "look" else [],
        "remarks": ["LAA has 7 pieces"],
        "not_done": [],
        "cut": ["LAA"],
        "inside_share": {"near": 0.512, "volume": None},
        "agreement": 0.978,
        "untrusted_share": 0.02,
        "structures": {
            "Myocardium": structure_check(),
            "LAA": structure_check(state="cut", volume_ml=8.0, volume_z=None),
            "Coronary": nothing | {"state": "absent"},
        },
    } | changes


def check_of(hearts):
    counts = {s: sum(h["state"] == s for h in hearts) for s in ("fit", "look", "unfit")}
    states = ("present", "cut", "absent", "not annotated")
    return {
        "state": next((state for state in ("unfit", "look") if counts[state]), "fit"),
        "structures": list(STRUCTURES),
        "left_out": {"gone": "gone.nii.gz: <b>damaged</b>"},
        "summary": {
            "hearts": len(hearts),
            **counts,
            "not_done": sum(bool(heart["not_done"]) for heart in hearts),
            "patients": len(hearts),
            "splits": {"val": len(hearts)},
            "states": {name: dict.fromkeys(states, 1) for name in STRUCTURES},
            "outliers": {
                "beyond_z": 4.0,
                "volume_ml": {"LAA": {"hearts": 8, "median": 9.0, "limits": [2.25, 36.5]}},
                "thickness_mm": {},
            },
        },
        "hearts": hearts,
    }


def check_page(path, hearts, pictures=None):
    write_check_page(path, check_of(hearts), pictures or {})
    return Page(path)


def assert_self_contained(page):
    # Scripts are skipped: plotly.js contains addresses that it never requests, and the policy below
    # makes the browser block them anyway.
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "base", "object", "embed")
        assert not {"href", "srcset", "action", "data", "poster"} & attributes.keys()
        if "src" in attributes:
            assert tag == "img"
            assert attributes["src"].startswith("data:image/")
    assert not re.search(r"\d %", page.visible())  # percentages have one form
    styles = " ".join(data for tag, data in page.texts if tag == "style")
    assert "url(" not in styles
    assert "@import" not in styles
    policy = [meta["content"] for meta in page.with_tag("meta") if "http-equiv" in meta]
    assert policy == [
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data: blob:"
    ]
    assert page.packed["plotly"] == get_plotlyjs().encode()


def test_the_report_is_self_contained_and_shows_every_number_and_name(
    tmp_path, scores, history, views
):
    page = report_page(tmp_path / "report.html", scores, history, views, {"Seed": "<0>"})
    assert_self_contained(page)
    text = page.visible()
    facts = ("Scores of A & B", "0.876", "± 0.012", "<0>", "Training", "Best", "Worst")
    for expected in (*STRUCTURES, *HEARTS, *facts):
        assert expected in text
    assert "lowest mean Dice" in text
    assert structure("Coronary").title in text
    chips = [button.get("data-name") for button in page.with_tag("button")]
    assert [name for name in chips if name] == ["Myocardium", "LAA"]


def test_a_single_heart_has_no_spread(tmp_path, scores):
    hearts = dict([next(iter(scores["hearts"].items()))])
    for found in scores["summary"]["structures"].values():
        found["dice"], found["iou"] = spread(found["dice"]["mean"], 1), spread(0.7, 1)
    scores["summary"]["interval"] = {"dice": None, "iou": None}
    text = report_page(tmp_path / "report.html", scores | {"hearts": hearts}).visible()
    assert "0.900" in text
    assert "±" not in text.replace("Mean ± standard deviation over the hearts", "")
    assert "lowest and the highest heart" not in text


def test_hostile_names_stay_text(tmp_path, scores, views):
    page = report_page(tmp_path / "report.html", scores, views=views)
    # The payload, the hearts, plotly.js, k3d and the page's own script: no name opened another one.
    assert len(page.with_tag("script")) == 4 + len(views)
    names = [data for tag, data in page.texts if tag == "th" and data in HEARTS]
    assert names == list(HEARTS)
    assert "<b>&.nii" not in page.source
    assert [heart["name"] for heart in page.payload()["hearts"]] == list(HOSTILE)
    # Plotly interprets some HTML, so that its texts are escaped.
    dots = page.payload()["plots"]["scores-dice"]["data"][0]["text"]
    assert dots[1] == "&lt;b&gt;&amp;.nii"
    checked = check_page(tmp_path / "check.html", [heart_check(name, "unfit") for name in HOSTILE])
    assert len(checked.with_tag("script")) == 3
    assert all(name in checked.visible() for name in HOSTILE)


class Unpacked:
    """``unpack_heart.js`` in Python."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        found, self.data = self.data[:count], self.data[count:]
        return np.frombuffer(found, dtype=np.uint8)

    def numbers(self, count):
        planes = [self.take(count).astype(np.int64) for _ in range(3)]
        return planes[0] | planes[1] << 8 | planes[2] << 16

    def vertices(self, count, layout):
        codes = [self.numbers(count) for _ in range(3)]
        steps = [np.cumsum(np.where(code % 2, -(code + 1) // 2, code // 2)) for code in codes]
        return np.stack(steps, axis=1) * layout["step"] + layout["low"]

    def mesh(self, layout, of):
        vertices = self.vertices(of["vertices"], layout)
        faces, unused = [], 0
        for code in self.numbers(3 * of["faces"]).tolist():
            unused += code == 0
            faces.append(unused - 1 if code == 0 else unused - code)
        distances = self.take(of["vertices"]).view(np.int8) * scene.DISTANCE_STEP_MM
        return vertices, np.array(faces).reshape(-1, 3), distances


def unpacked(heart):
    parts, layout = Unpacked(gzip.decompress(base64.b64decode(heart.blob))), heart.layout
    sides = {
        side: {of["name"]: parts.mesh(layout, of) for of in layout[side]}
        for side in ("truth", "reconstruction")
    }
    return sides, parts


def corners(vertices, faces):
    """The triangles of a mesh, sorted."""
    return np.array(sorted(np.round(vertices[faces], 2).reshape(-1, 9).tolist()))


def test_surfaces_are_packed_to_a_hundredth_of_a_mm(views):
    sides, _ = unpacked(pack_heart(views[0]))
    for side in ("truth", "reconstruction"):
        surfaces = getattr(views[0], side)
        assert list(sides[side]) == list(surfaces)
        for name, surface in surfaces.items():
            vertices, faces, _ = sides[side][name]
            assert len(vertices) == len(surface.vertices_mm)
            arrived = corners(vertices, faces)
            original = corners(surface.vertices_mm.astype(np.float64), surface.faces)
            assert len(arrived) == len(original)
            volume = Surface(vertices.astype(np.float32), faces).volume_mm3
            assert volume == pytest.approx(surface.volume_mm3, rel=1e-3)
            gaps = np.abs(vertices[:, None] - surface.vertices_mm).max(axis=2).min(axis=1)
            assert gaps.max() <= 0.5 * scene.STEP_MM + 1e-4


def test_distances_are_positive_where_the_reconstruction_goes_beyond_the_truth():
    truth = {"LV": sphere(30, 4, (5, 5, 5)), "RV": sphere(9, 2), "LAA": sphere(5, 2)}
    reconstruction = {"LV": sphere(31.5, 4, (5, 5, 5)), "RV": sphere(7, 2)}
    sides, _ = unpacked(pack_heart(HeartView("h", truth, reconstruction, 0.9)))
    for side in ("truth", "reconstruction"):
        assert sides[side]["LV"][2] == pytest.approx(1.5, abs=0.12)
        assert sides[side]["RV"][2] == pytest.approx(-2, abs=0.25)
    assert sides["truth"]["LAA"][2] == pytest.approx(-128 * scene.DISTANCE_STEP_MM)


def test_inferred_structures_are_packed_if_they_were_reconstructed():
    ball = {"LV": sphere(20, 2)}
    heart = HeartView("h", ball | {"PV": sphere(5, 2)}, ball, 1.0, inferred=("LV", "PV"))
    assert pack_heart(heart).layout["inferred"] == ["LV"]


def test_the_input_lies_where_the_surfaces_lie():
    _, label_map = ball_samples()
    ball = {"LV": sphere(15, 4, (20, 0, 0))}
    heart = pack_heart(HeartView("h", ball, ball, 1.0, label_map, ("LV",)))
    _, parts = unpacked(heart)
    where = heart.layout["voxels"]
    labels = parts.take(int(np.prod(where["shape"]))).reshape(where["shape"], order="F")
    assert parts.data == b""
    places = heart.layout["low"] + (np.argwhere(labels == 1) + 0.5) * where["spacing"]
    np.testing.assert_allclose(places.mean(axis=0), [20, 0, 0], atol=0.2)
    assert np.linalg.norm(places - [20, 0, 0], axis=1).max() == pytest.approx(15, abs=1.8)


def test_fine_surfaces_are_simplified_within_the_budget_and_stay_in_place(monkeypatch):
    monkeypatch.setattr(scene, "MAX_FACES", 4000)
    center = np.array([10.0, -20.0, 30.0])
    fine = {"LV": sphere(30, 5, center), "Coronary": sphere(5, 4, center)}
    sides, _ = unpacked(pack_heart(HeartView("h", fine, {}, math.nan)))
    faces = [len(faces) for _, faces, _ in sides["truth"].values()]
    # By square roots of the faces, 2 : 1; by faces alone the small one would get 800.
    assert faces == pytest.approx([2667, 1333], abs=4)
    for (vertices, _, _), radius in zip(sides["truth"].values(), (30, 5), strict=True):
        assert np.linalg.norm(vertices - center, axis=1) == pytest.approx(radius, rel=0.01)


def test_a_page_of_twenty_full_hearts_is_small(tmp_path, scores):
    generator = np.random.default_rng(0)

    def rough(radius, subdivisions):
        smooth = sphere(radius, subdivisions)
        bumps = generator.normal(0, 0.2, smooth.vertices_mm.shape).astype(np.float32)
        return Surface(smooth.vertices_mm + bumps, smooth.faces)

    side = {"Myocardium": rough(40, 5), "Coronary": rough(8, 5)}
    heart = HeartView("h", side, side, 1.0)
    packed = len(pack_heart(heart).blob)
    report_page(path := tmp_path / "report.html", scores, views=[heart])
    assert path.stat().st_size + 19 * packed < 15_000_000


def test_best_median_and_worst_are_among_those_chosen():
    hearts = {f"h{n}": {"LV": {"dice": (n * 37 % 101) / 101}} for n in range(101)}
    hearts["unscored"] = {"LV": {"dice": None}}
    named = ranks(hearts)
    assert [hearts[name]["LV"]["dice"] * 101 for name in named] == pytest.approx([100, 50, 0])
    assert list(named.values()) == ["best", "median", "worst"]
    for most in (3, 20, 21, 500):
        found = chosen(hearts, most)
        assert len(found) == len(set(found)) == min(most, 101)
        assert set(named) <= set(found)
    assert chosen({"unscored": hearts["unscored"]}, 20) == []
    assert ranks({"only": hearts["h1"]}) == {}


def test_every_dot_is_a_heart_and_missing_scores_are_a_dash(tmp_path, scores):
    page = report_page(tmp_path / "report.html", scores)
    figure = page.payload()["plots"]["scores-dice"]
    for trace, name in zip(figure["data"], STRUCTURES, strict=False):
        expected = [found[name]["dice"] for found in scores["hearts"].values()]
        assert trace["x"] == pytest.approx([dice for dice in expected if dice is not None])
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < 0.0 < 1.0 < high  # the missed coronary's 0 is in the figure
    dashes = [span for span in page.with_tag("span") if span.get("class") == "none"]
    assert sum("absent" in dash["title"] for dash in dashes) == 1


def test_nothing_scored_trained_or_shown_still_makes_a_page(tmp_path):
    empty = {"mean": None, "std": None, "median": None, "n": 0}
    scores = {
        "summary": {
            "mean": {"dice": None, "iou": None},
            "range": {"dice": None, "iou": None},
            "n": {"dice": 0, "iou": 0},
            "structures": {"LV": {"dice": empty, "iou": empty}},
        },
        "hearts": {"h": {"LV": {"dice": float("nan"), "iou": None}}},
    }
    page = report_page(tmp_path / "report.html", scores)
    assert_self_contained(page)
    dashes = [span["title"] for span in page.with_tag("span") if span.get("class") == "none"]
    assert len(dashes) == 2 + 1 + 2  # headlines, row of the structure, row of the heart
    assert "Training" not in page.visible()
    assert "Truth and reconstruction" not in page.visible()
    assert list(page.payload()["plots"]) == ["scores-dice"]
    assert page.payload()["hearts"] == []


@pytest.mark.parametrize("hearts", [1, 2, 9, 10])
def test_no_interval_is_shown_below_ten_hearts(tmp_path, hearts):
    rows = [
        Score(f"heart {h}", "LV", "found", {"dice": 0.930 + 0.002 * h, "iou": 0.9})
        for h in range(hearts)
    ]
    text = report_page(tmp_path / "report.html", summarize(rows, Bootstrap(50))).visible()
    assert ("(95\xa0%)" in text) == (hearts == 10)
    shown = f"range 0.930 – {0.930 + 0.002 * (hearts - 1):.3f} of {hearts} hearts"
    assert (shown in text) == (1 < hearts < 10)
    assert "1 hearts" not in text


def test_curves_are_means_over_runs_and_leave_out_what_is_not_a_number(history):
    curves = figures.training_curves(history)
    assert list(curves) == [
        "Loss",
        "Loss terms (training)",
        "Dice on the voxel grid",
        "Learning rate",
    ]
    training, validation = curves["Loss"]["data"]
    assert len(training["x"]) == figures.POINTS_PER_CURVE
    assert np.average(training["x"], weights=[9] * 200 + [8] * 400) == pytest.approx(2500.5)
    assert validation["x"] == [2500, 5000]
    assert validation["y"] == [2 / 2500, 2 / 5000]
    assert [curve["name"] for curve in curves["Loss terms (training)"]["data"]] == [
        "near",
        "inside",
    ]
    broken = [{"step": 1, "split": "train", "loss": float("nan"), "lr": 0.1, "terms": {}}]
    assert list(figures.training_curves(broken)) == ["Learning rate"]
    assert figures.training_curves([]) == {}


def test_unknown_structures_are_rejected_without_a_page(tmp_path, scores):
    scores["summary"]["structures"]["LVV"] = {"dice": spread(1.0), "iou": spread(1.0)}
    with pytest.raises(InputError, match="LVV"):
        report_page(tmp_path / "report.html", scores)
    assert not list(tmp_path.iterdir())


def test_the_check_page_shows_everything_in_the_given_order(tmp_path):
    hearts = [
        heart_check("bad one", "unfit"),
        heart_check(
            "odd one", "look", structures={"LAA": structure_check(volume_z=-5.5, volume_ml=1.0)}
        ),
        heart_check("fine one", not_done=["labels: the source is gone"]),
    ]
    pictures = dict.fromkeys(("bad one", "odd one"), "data:image/webp;base64,AAAA")
    page = check_page(tmp_path / "check.html", hearts, pictures)
    assert_self_contained(page)
    rows = [data for tag, data in page.texts if tag == "th" and data.endswith(" one")]
    assert rows == ["bad one", "odd one", "fine one"]
    text = page.visible()
    for expected in (*STRUCTURES, "Coronary: no points in bad one", "51.2%", "97.8%", "val: 3"):
        assert expected in text
    assert "LAA has 7 pieces" in text
    assert "gone.nii.gz: <b>damaged</b>" in text  # as text, not as a tag
    assert "1 of 3 hearts is unfit for training. 1 of 3 hearts is fit but needs a look" in text
    assert "the heart is rotated by 173°" in text
    assert "4 robust standard deviations" in text
    assert ("2.2" in text, "36.5" in text) == (True, True)
    badges = [e["class"] for e in page.with_tag("span") if "badge" in (e.get("class") or "")]
    assert badges == [f"badge {kind}" for kind in ("bad", "bad", "look", "good", "bad", "look")]
    assert "1 of 3 hearts could not be checked in full: labels." in text
    assert "2 of 3 hearts, most doubtful first" in text
    assert [image["src"] for image in page.with_tag("img")] == list(pictures.values())
    payload = page.payload()
    assert payload["hearts"] == ["bad one", "odd one", "fine one"]
    assert payload["states"][0] == ["present", "cut", "absent"]
    assert payload["quantities"][0]["rows"] == [
        [120.0, 8.0, None],
        [None, 1.0, None],
        [120, 8, None],
    ]
    assert payload["quantities"][7]["rows"][0] == [1234, 1234, None]
    *boxes, outliers = payload["plots"]["volumes"]["data"]
    assert [box["x"] for box in boxes] == [[120.0] * 2, [8.0, 1.0, 8.0], []]
    assert outliers["x"] == [1.0]
    assert outliers["y"] == [STRUCTURES.index("LAA")]
    assert outliers["text"] == [" odd one "]
    near, volume, agreement = payload["plots"]["shares"]["data"]
    assert near["x"] == pytest.approx([51.2] * 3)
    assert volume["x"] == []
    assert agreement["x"] == pytest.approx([97.8] * 3)
    colors = near["marker"]["color"]
    assert len(set(colors)) == 3


def test_the_check_page_of_one_heart_shows_values_and_no_ranges(tmp_path):
    one = check_page(tmp_path / "one.html", [heart_check("a")]).visible()
    two = check_page(tmp_path / "two.html", [heart_check("a"), heart_check("b")]).visible()
    assert "120.0 – 120.0" in two
    assert "97.8%" in one
    assert not re.search(r"[\d.%]+ – [\d.]+", one)
    assert ("Bold: median" in one, "Bold: median" in two) == (False, True)


def test_a_broken_heart_has_its_row(tmp_path):
    nothing = {"near": None, "volume": None}
    broken = heart_check("h", "unfit", structures={}, inside_share=nothing, agreement=None)
    page = check_page(tmp_path / "check.html", [broken])
    assert "Coronary: no points in h" in page.visible()
    assert page.payload()["states"] == [[None] * 3]


def ball_samples(shift=0.0):
    """Samples of a ball at (20, 0, 0), with points moved by ``shift``, and its label map."""
    generator = np.random.default_rng(0)
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = [-20, -40, -40]
    label_map = LabelMap(np.zeros((40, 40, 40), np.uint8), affine)
    centers = label_map.to_mm(np.argwhere(np.ones((40, 40, 40))))
    inside = np.linalg.norm(centers - [20, 0, 0], axis=1) < 15
    label_map.labels.flat[inside] = 1
    directions = generator.standard_normal((3000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    edge = np.full(3000, np.inf, np.float32)

    def query(points):
        distances = np.linalg.norm(points - [20, 0, 0], axis=1, keepdims=True) - 15
        return QueryPoints((points + shift).astype(np.float32), distances.astype(np.float32), edge)

    points = directions * 15 + [20, 0, 0]
    surface = SurfacePoints(
        (points + shift).astype(np.float32),
        np.zeros(3000, np.uint8),
        directions.astype(np.float32),
        np.zeros((3000, 1), np.float32),
        edge,
    )
    info = HeartInfo(
        *("ball", "label map", "<source>", "", "", {}, ("LV",), ()),
        *(Frame((20.0, 0.0, 0.0), 100.0), 50.0),
        *((2.0, 2.0, 2.0), {"LV": 14.1}, {"LV": 2827.0}, {"LV": 1}, 0, (), {}, 0, ""),
    )
    near = query(points + 2 * generator.standard_normal((3000, 3)))
    volume = query(generator.uniform(-18, 18, (3000, 3)) + [20, 0, 0])
    return Samples(surface, near, volume, info), label_map


def decoded_picture(uri):
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    assert len(data) < 110_000  # 80 kB
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def test_contradictions_are_visible():
    def crossed(picture):
        red, green, blue = np.moveaxis(picture, -1, 0)
        return int(((red > 200) & (green < 110) & (blue > 160)).sum())

    sound = decoded_picture(slices.three_slices(*ball_samples()))
    moved = decoded_picture(slices.three_slices(*ball_samples(shift=14.0)))
    assert sound.shape == moved.shape
    assert sound.shape[1:] == (1200, 3)
    assert crossed(sound) < 20
    assert crossed(moved) > 1000


@pytest.mark.parametrize("swap", [False, True])
def test_the_patients_right_is_shown_on_the_left(swap):
    samples, label_map = ball_samples()
    if swap:  # the same voxels, stored from right to left
        affine = label_map.affine.copy()
        affine[:3, 0] *= -1
        affine[0, 3] = label_map.to_mm(np.array([39, 0, 0]))[0]
        label_map = LabelMap(label_map.labels[::-1], affine)
    grid = LabelMap(label_map.labels.copy(), label_map.affine)
    # A second structure in the patient's right half.
    centers = label_map.to_mm(np.argwhere(np.ones((40, 40, 40)))).reshape(40, 40, 40, 3)
    grid.labels[(grid.labels == 1) & (centers[..., 0] > 20)] = 2
    two = replace(
        samples,
        info=replace(samples.info, structures=("LV", "RV")),
        near=_with_second(samples.near),
        volume=_with_second(samples.volume),
    )
    picture = decoded_picture(slices.three_slices(two, grid))
    axial = picture[:, :400]
    blue = axial[..., 2] > axial[..., 0] + 40
    red = axial[..., 0] > axial[..., 2] + 40
    assert blue.sum() > 2000
    assert red.sum() > 2000
    assert np.argwhere(blue)[:, 1].mean() < np.argwhere(red)[:, 1].mean() - 40


def _with_second(points):
    left = points.distances_mm.copy()
    is_right = points.points_mm[:, :1] > 20
    ones = np.where(is_right, np.abs(left) + 1, left)
    twos = np.where(is_right, left, np.abs(left) + 1)
    return replace(points, distances_mm=np.concatenate([ones, twos], axis=1))


def test_points_without_a_label_map_are_drawn_too():
    picture = decoded_picture(slices.three_slices(ball_samples()[0], None))
    assert (picture.max(axis=-1) > 120).sum() > 200


def test_the_heart_page_is_self_contained_and_shows_its_points(tmp_path):
    samples, label_map = ball_samples()
    heart = heart_check(HOSTILE[0], "unfit", structures={"LV": structure_check()})
    heart["inside_share"] = {"near": 0.5, "volume": 0.4}
    picture = slices.montage(samples, label_map)
    write_heart_page(tmp_path / "heart.html", HeartPage(heart, samples, picture))
    page = Page(tmp_path / "heart.html")
    assert_self_contained(page)
    assert len(page.with_tag("script")) == 5  # the payload, plotly.js, k3d, points, the page's own
    text = page.visible()
    for expected in (HOSTILE[0], "<source>", "120.0", "LAA has 7 pieces", "isotropic"):
        assert expected in text
    cloud = page.payload()["scene"]
    assert cloud["points"] == [{"name": "LV", "points": 3000}]
    points = Unpacked(page.packed["points"]).vertices(3000, cloud)
    np.testing.assert_allclose(points, samples.surface.points_mm, atol=cloud["step"] / 2 + 1e-6)
    histogram = page.payload()["plots"]["distances-0"]["data"][0]
    within = np.abs(samples.near.distances_mm) <= 15
    assert sum(histogram["y"]) == within.sum()


@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
def test_the_points_of_the_heart_page_hide_and_everyone_can_use_it(tmp_path):
    samples, label_map = ball_samples()
    heart = heart_check("ball", structures={"LV": structure_check()})
    heart["inside_share"] = {"near": 0.5, "volume": 0.4}
    page = HeartPage(heart, samples, slices.montage(samples, label_map))
    write_heart_page(tmp_path / "heart.html", page)
    with Browser(tmp_path / "profile") as browser:
        browser.open(tmp_path / "heart.html")
        browser.wait("document.getElementById('viewer')?.dataset.ready === '1'")
        canvas = "#points-scene canvas"
        assert sum(grey < 150 for grey in browser.picture(canvas)) > 50
        assert faults(browser) == []
        browser.click(".chip[data-name=LV]")
        assert min(browser.picture(canvas)) > 200
        assert [text for text in browser.complaints if "GL Driver Message" not in text] == []
        foreign = [one for one in browser.requests if not one.startswith("data:image/")]
        assert foreign == [(tmp_path / "heart.html").as_uri()]
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


def test_check_page_of_no_hearts(tmp_path):
    page = check_page(tmp_path / "check.html", [])
    assert_self_contained(page)
    assert "The data set has no hearts" in page.visible()
