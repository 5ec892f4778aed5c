"""``vecsetx check``: is a prepared data set fit to learn from?"""

from pathlib import Path
from typing import Any

from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.pipeline.progress import steps
from vecsetx.report.page import write_check_page
from vecsetx.sampling.quality import HeartQuality, heart_quality


def check(data: Path, out: Path) -> dict[str, Any]:
    """Check every heart of a data set; writes ``check.json`` and ``check.html`` into ``out``.

    Returns:
        What ``check.json`` holds; ``passed`` tells whether every heart is fit.

    Raises:
        InputError: There is no data set.
    """
    dataset = DataSet.read(data)
    found = []
    with steps("checking hearts", len(dataset.hearts)) as progress:
        for heart in dataset.hearts:
            quality = _quality(dataset, heart)
            found.append({**quality.to_dict(), "split": heart.split, "patient": heart.patient})
            progress.advance(note=heart.name)
    result = {
        "passed": all(heart["passed"] for heart in found),
        "structures": list(dataset.structures),
        "hearts": found,
    }
    write_json(out / "check.json", result)
    write_check_page(out / "check.html", result)
    return result


def _quality(dataset: DataSet, heart: HeartEntry) -> HeartQuality:
    """A heart's quality; a file that cannot be read is its heart's problem, not the cohort's."""
    try:
        return heart_quality(dataset.open(heart).read())
    except InputError as error:
        none = dict.fromkeys(dataset.structures, 0)
        points = dict.fromkeys(("surface", "near", "volume"), none)
        shares = {"near": 0.0, "volume": 0.0}
        volumes = dict.fromkeys(dataset.structures, 0.0)
        return HeartQuality(heart.name, (str(error),), volumes, shares, points, none, ())
