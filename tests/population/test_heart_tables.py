"""Hearts as tables, and back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.model.saved import TrainedModel
from vecsetx.population.heart_tables import (
    check_ordered,
    encode_table,
    field_of,
    observed_samples,
    template_of,
)
from vecsetx.population.template import Template
from vecsetx.sampling.observation import Observation


@pytest.fixture(scope="module")
def trained(trained_run: Path) -> TrainedModel:
    return TrainedModel.from_pretrained(trained_run)


@pytest.fixture(scope="module")
def hearts(dataset: DataSet, trained: TrainedModel) -> list[Observation]:
    return [
        observed_samples(dataset.open_file(heart.file).read(), trained)
        for heart in dataset.hearts[:2]
    ]


@pytest.fixture(scope="module")
def template(hearts: list[Observation], trained: TrainedModel) -> Template:
    return template_of(hearts[0], trained)


def test_where_the_patient_lies_changes_nothing(
    hearts: list[Observation], template: Template, trained: TrainedModel
) -> None:
    """Heart and frame moved by 64 mm: the same table, and the same heart there."""
    heart = hearts[1]
    away = np.float32([64, -128, 32])  # so that no float is rounded otherwise
    center = tuple(np.add(heart.frame.center_mm, away).tolist())
    moved = replace(
        heart, points_mm=heart.points_mm + away, frame=replace(heart.frame, center_mm=center)
    )
    here, there = (encode_table(one, trained, template) for one in (heart, moved))
    # Between matches that cost the same, rounding decides.
    same = np.abs(there.table.positions - here.table.positions).max(axis=1) < 1e-5
    assert same.mean() > 0.9
    np.testing.assert_allclose(there.table.latents[same], here.table.latents[same], atol=1e-3)
    shift = np.subtract(there.frame.center_mm, here.frame.center_mm)
    np.testing.assert_allclose(shift, away, atol=1.0)
    points = heart.points_mm[:500]
    fields = [field_of(e.table, trained, trained.structures, e.frame) for e in (here, there)]
    between_mm = fields[1].distances_mm(points + away) - fields[0].distances_mm(points)
    assert np.abs(between_mm).mean() < 0.5


def test_chambers_lie_where_the_templates_do_however_far_vessels_reach(
    hearts: list[Observation], template: Template, trained: TrainedModel
) -> None:
    """A piece of vessel 60 mm above moves the box around the heart, but not its chambers."""
    heart, aorta = hearts[1], trained.structures.index("Aorta")
    frame = replace(heart.frame, center_mm=tuple(np.add(heart.frame.center_mm, [0, 0, 30.0])))
    encoded = [encode_table(one, trained, template) for one in (heart, replace(heart, frame=frame))]
    chambers = [k for k, name in enumerate(trained.structures) if name in ("LV", "RV", "LA", "RA")]
    chambers.append(trained.structures.index("Myocardium"))
    rows = np.isin(template.structure[: template.anchors], chambers)
    wanted = template.points[: template.anchors][rows].mean(axis=0)
    for table, own, _ in encoded:
        np.testing.assert_allclose(table.positions[rows].mean(axis=0), wanted, atol=1e-5)
        assert own.rotation == heart.frame.rotation
    np.testing.assert_allclose(encoded[0].frame.center_mm, encoded[1].frame.center_mm, atol=1e-3)
    assert aorta not in chambers


def test_structures_that_are_cut_have_no_rows(
    hearts: list[Observation], template: Template, trained: TrainedModel
) -> None:
    table, _, normals = encode_table(hearts[1], trained, template, cut=("Aorta", "PA"))
    names = np.array(trained.structures)[template.structure[: template.anchors]]
    assert not table.there[np.isin(names, ["Aorta", "PA"])].any()
    assert table.there[np.isin(names, ["LV", "RV"])].all()
    assert (table.positions[~table.there] == 0).all()
    np.testing.assert_array_equal(np.isfinite(normals).all(axis=1), table.there)
    np.testing.assert_allclose(np.linalg.norm(normals[table.there], axis=1), 1, atol=1e-5)
    with pytest.raises(InputError, match="no structure of the template is whole"):
        encode_table(hearts[1], trained, template, cut=trained.structures)


def test_structures_that_are_left_out_are_nowhere(
    hearts: list[Observation], template: Template, trained: TrainedModel
) -> None:
    table, frame, _ = encode_table(hearts[1], trained, template)
    points = hearts[1].points_mm[:2000]
    whole = field_of(table, trained, trained.structures, frame).distances_mm(points)
    part = field_of(table, trained, ("LV", "RA"), frame).distances_mm(points)
    kept = np.isin(trained.structures, ["LV", "RA"])
    np.testing.assert_array_equal(part[:, kept], whole[:, kept])
    assert (part[:, ~kept] > 10).all()
    assert (whole[:, ~kept] < 0).any()


def test_learned_queries_cannot_be_ordered(trained: TrainedModel) -> None:
    check_ordered(trained)
    network = replace(trained.network.spec, queries="learnable").build(len(trained.structures))
    with pytest.raises(InputError, match="queries are 'learnable'"):
        check_ordered(replace(trained, network=network))
