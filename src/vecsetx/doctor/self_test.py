"""The built-in model: whether its files are whole, and whether it reconstructs a phantom."""

import tempfile
import time
from pathlib import Path

from vecsetx.doctor.section import Section, without_user
from vecsetx.errors import InputError
from vecsetx.model.built_in import altered_files, built_in_model

__all__ = ["DICE", "built_in", "self_test"]

DICE = 0.95
"""Least mean Dice of a phantom's chambers and great vessels; the built-in model reaches 0.969."""

_SIZE, _SPACING_MM, _RESOLUTION = 48, 3.2, 48
"""Voxels along each edge of the phantom, their edge, and the meshing grid: ten seconds of CPU."""


def built_in() -> Section:
    """Return whether the built-in model's files are those that the package records."""
    try:
        folder = built_in_model()
        altered = altered_files()
    except (InputError, OSError, ValueError) as error:
        return Section("built-in model", {}, (without_user(str(error)),))
    facts = {"folder": without_user(str(folder)), "files": "as recorded in SHA256SUMS"}
    if altered:
        facts["files"] = f"! {', '.join(altered)} not as recorded in SHA256SUMS"
    problems = [f"{name} of the built-in model is {what}" for name, what in altered.items()]
    return Section(
        "built-in model", facts, tuple(f"{each}; install VecSetX again" for each in problems)
    )


def self_test() -> Section:
    """Make a small phantom, reconstruct it with the built-in model, and compare the two."""
    began, cpu_began = time.monotonic(), time.process_time()
    try:
        with tempfile.TemporaryDirectory(prefix="vecsetx-doctor-") as folder:
            dice = _dice(Path(folder))
    # Whatever an incomplete installation raises is what the report has to say.
    except Exception as error:
        what = without_user(f"{type(error).__name__}: {error}".splitlines()[0])
        problem = f"the self-test failed ({what}); mend what is marked above, or install again"
        return Section("self-test", {"result": "! failed"}, (problem,))
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    good = dice >= DICE
    facts = {
        "result": "passed" if good else "! failed",
        "Dice": f"{dice:.3f} (mean of a phantom's chambers and great vessels; at least {DICE})",
        "seconds": f"{seconds:.1f} ({cpu_seconds:.1f} of CPU time)",
    }
    problem = (
        f"the built-in model reconstructs a phantom with a mean Dice of {dice:.3f}, below {DICE}; "
        "install VecSetX and PyTorch again, and report it if that does not help"
    )
    return Section("self-test", facts, () if good else (problem,))


def _dice(folder: Path) -> float:
    """Return the mean Dice of a reconstructed phantom over structures that are not small."""
    # Here, as these load PyTorch and VTK, either of which may be missing.
    import numpy as np

    from vecsetx.anatomy.phantom.phantom_heart import PhantomHeart
    from vecsetx.anatomy.size import SMALL_STRUCTURES
    from vecsetx.data.find_hearts import find_hearts
    from vecsetx.formats.label_maps import write_label_map
    from vecsetx.inference.api import labels, load
    from vecsetx.inference.encode import EncodeOptions
    from vecsetx.inference.heart import Heart

    truth = PhantomHeart.random(np.random.default_rng(0)).voxelize(_SIZE, _SPACING_MM)
    write_label_map(truth, folder / "phantom.nii.gz")
    (source,) = find_hearts([folder / "phantom.nii.gz"]).values()
    heart = Heart.of(source, load(), EncodeOptions(refine=0), False, 0, None)
    found = labels(heart, resolution=_RESOLUTION).labels
    scores = []
    for label, structure in heart.label_set.ids.items():
        if structure not in SMALL_STRUCTURES:
            own, true = found == label, truth.labels == label
            scores.append(2 * (own & true).sum() / (own.sum() + true.sum()))
    return float(np.mean(scores))
