"""The bounds of the first mesh, and what a step of it measures."""

import os
import subprocess
import sys
from pathlib import Path

import first_mesh
import pytest
from first_mesh import measured, missed


def steps(**seconds: float) -> dict[str, dict[str, float]]:
    usual = {"environment": 5.0, "installation": 60.0, "phantom": 5.0, "reconstruction": 40.0}
    return {
        name: {"seconds": found, "cpu_seconds": 1.0, "peak_gb": 1.0}
        for name, found in (usual | seconds).items()
    }


def test_bounds() -> None:
    assert missed(steps()) == []
    assert missed(steps(installation=100.0)) == []
    assert missed(steps(installation=100.5)) == ["150 s to the first mesh, over 150 s"]
    assert missed(steps(reconstruction=91.0, installation=1.0)) == [
        "reconstruction: 91.0 s, over 90 s"
    ]
    # Another heart counts by itself, not for the first mesh.
    assert missed(steps(other=80.0)) == []
    assert missed(steps(other=91.0)) == ["other: 91.0 s, over 90 s"]
    large = steps()
    large["reconstruction"]["peak_gb"] = 2.5
    assert missed(large) == ["reconstruction: 2.5 GB, over 2 GB"]


def test_a_step_is_measured_without_the_checkout() -> None:
    step = "import os; assert 'PYTHONPATH' not in os.environ; held = b'x' * 300_000_000"
    # In a small process: a new process counts the memory of the one that forked it.
    code = (
        "import sys; from pathlib import Path; from first_mesh import measured; "
        f"print(measured([sys.executable, '-c', {step!r}], Path('.'))['peak_gb'])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(first_mesh.__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert 0.3 < float(done.stdout) < 0.5


def test_a_step_that_fails_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="failed with status 3"):
        measured([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
