"""The stacks of benchmarks/frames.py, and how it scores volumes."""

import numpy as np
import pytest
from frames import SHORT_AXIS, counted_ml, off, stacks

from vecsetx.anatomy.phantom import STRUCTURES
from vecsetx.anatomy.phantom.beating import BeatingPhantom, volumes_ml


def test_a_stack_of_thin_slices_has_the_true_volumes() -> None:
    heart = BeatingPhantom.random(np.random.default_rng([900, 0])).at(0.0)
    (made,) = stacks([heart], 2.0)
    (found,), true = counted_ml([made]), volumes_ml(heart, 1.2)
    for name in SHORT_AXIS:
        assert found[name] == pytest.approx(true[name], rel=0.02)
    shown = {STRUCTURES[label - 1] for label in np.unique(made.labels) if label}
    assert shown == set(SHORT_AXIS)


def test_errors_are_in_points_and_percent() -> None:
    true = [{"LV": lv, "RV": 90.0 - lv / 2, "Myocardium": 80.0} for lv in (100.0, 40.0, 70.0)]
    found = [{**one, "LV": 1.1 * one["LV"]} for one in true]
    found[1]["LV"] += 11
    scored = off(found, true)
    assert scored["LV_ef"] == pytest.approx(-10)
    assert scored["LV_ed_percent"] == pytest.approx(10)
    assert scored["LV_es_percent"] == pytest.approx(100 * (55 / 40 - 1))
    assert scored["muscle_varies_percent"] == 0
