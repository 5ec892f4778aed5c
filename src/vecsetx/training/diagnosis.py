"""Diagnosis of a training run from its journal: what went wrong, and which option to change.

All criteria are free of scale. They compare a run with itself, so that neither the weights of the
loss nor the number of steps nor the logging interval matters. Their thresholds come from runs on
phantoms with sound learning rates and with rates 10, 100 and 1000 times lower or higher, with
several seeds each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite, log
from statistics import fmean, median
from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = [
    "FEWEST_ENTRIES",
    "FEWEST_STEPS",
    "Diagnosis",
    "Finding",
    "Row",
    "best_validation",
    "diagnose",
    "steps_per_second",
    "waiting_share",
]

FEWEST_ENTRIES, FEWEST_STEPS = 8, 50
"""Runs with fewer are too short for a diagnosis."""

_WINDOWS = 40
"""The largest number of equal windows over which a run is averaged."""

_LATE_FALL, _LATE_PACE = 0.4, 0.9
"""Rate too high: the decrease of log loss once the rate is below half its peak, and its pace per
unit of summed rate, relative to the pace before. Measured: at least 0.43 and 1.01 where the rates
were a hundred times too high; elsewhere the decrease was at most 0.37."""

_RISEN = 1.25
"""Rate too high: the final loss over the lowest. Measured: at most 1.02 in sound runs."""

_LITTLE, _STRAIGHT, _NOTHING = 0.4, 0.46, 0.95
"""Rate too low: the final loss over the initial one, and the share of the decrease of log loss in
the first third of the summed rates; or nearly the whole loss is left. Measured: 0.48 to 0.87 and at
most 0.44 where the rates were a hundred times too low and the run short; at most 0.39 of the loss
is left in sound runs."""

_JUMPY, _JUMPY_SHARE = 0.06, 0.1
"""Rate too high rather than too low: the noise of log loss, and its share of the decrease.
Measured: at most 0.016 where the rates were too low."""

_FLAT = 0.03
"""Plateau: the decrease of log loss over the last third plus its standard error. Measured: at least
0.037 in runs that still learned."""

_DOMINANT = 0.9
"""A term that dominates: its smallest share of the loss."""

_UNMOVED, _FELL = 0.03, 0.9
"""A term that does not change: the relative range of its means over the thirds of a run, while
those of the loss decreased to this share."""

_DICE_LOST, _LOSS_GAINED = 0.02, 0.98
"""Overfitting: how far the last two grid Dice lie below the best, while the loss fell to this
share."""

_WAITING = 0.3
"""Waiting for data: its share of the time."""

Row = Mapping[str, Any]
"""A line of the journal, as written from :class:`~vecsetx.training.journal.Entry`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a run.

    Attributes:
        fault: Its name.
        text: The figures that show it, and which option to change.
    """

    fault: str
    text: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.text}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The diagnosis of a run.

    Attributes:
        findings: Its faults, the most serious first; may be empty.
        too_short: Why the run is too short to judge, or empty.
        figures: The main figures, in one sentence.
        enough: Number of steps with which a run that is too short can be judged; otherwise 0.
    """

    findings: tuple[Finding, ...]
    too_short: str
    figures: str
    enough: int = 0

    def lines(self) -> list[str]:
        """The findings, or that there are none, and the main figures, as lines of text."""
        if self.findings or self.too_short:
            found = [str(finding) for finding in self.findings]
            return [*found, *([self.too_short] if self.too_short else []), self.figures]
        return [f"no fault found: {self.figures}"]


def diagnose(entries: Sequence[Row]) -> Diagnosis:
    """Diagnose a run from its journal.

    Args:
        entries: The lines of ``metrics.jsonl``, oldest first.
    """
    train = [entry for entry in entries if entry["split"] == "train" and _is_positive(entry)]
    val = [entry for entry in entries if entry["split"] == "val"]
    findings = list(_failed_validations(val))
    too_short, enough = _too_short(train)
    if not too_short:
        findings += [*_curve_faults(_LossCurve(train)), *_term_faults(train)]
        findings += [*_overfitting(train, val), *_waiting(train)]
    return Diagnosis(tuple(findings), too_short, _figures(train, val), enough)


def _figures(train: Sequence[Row], val: Sequence[Row]) -> str:
    """The main figures of a run, in one sentence."""
    if not train:
        return "no training steps in the journal"
    first, last = train[0], train[-1]
    parts = [f"loss from {first['loss']:.4g} to {last['loss']:.4g} in {_steps(last['step'])}"]
    if best := best_validation(val):
        parts.append(f"best grid Dice {best['grid_dice']:.3f} at step {best['step']}")
    if pace := steps_per_second(train):
        parts.append(f"{pace:.3g} steps/s")
    return ", ".join(parts)


def waiting_share(train: Sequence[Row]) -> float | None:
    """Median share of the time spent waiting for data, 0…1; None if the journal has none."""
    shares = [entry["waiting"] for entry in train if entry.get("waiting") is not None]
    return float(median(shares)) if shares else None


def best_validation(entries: Sequence[Row]) -> Row | None:
    """The entry with the highest grid Dice; None if no validation has one."""
    return max(_scored(entries), key=lambda entry: float(entry["grid_dice"]), default=None)


def steps_per_second(train: Sequence[Row]) -> float:
    """Mean number of steps per second of a run; 0 if the journal has no times."""
    seconds = train[-1].get("seconds") if train else None
    return float(train[-1]["step"] / seconds) if seconds else 0.0


class _LossCurve:
    """Log loss and learning rate over a run, as means over equal windows.

    ``log_loss`` and ``rate`` have a value per window. ``done`` is the sum of the rates of all steps
    up to a window's middle, as a share of the whole sum: how far the weights could have moved by
    then. It makes runs with different schedules comparable.
    """

    def __init__(self, train: Sequence[Row]) -> None:
        self.began, self.ended = float(train[0]["loss"]), float(train[-1]["loss"])
        losses = np.array([entry["loss"] for entry in train])
        rates = np.array([entry["lr"] for entry in train])
        steps = np.array([entry["step"] for entry in train])
        per_window = -(-len(train) // _WINDOWS)  # entries, so that all windows are about equal
        parts = np.array_split(np.arange(len(train)), len(train) // per_window)
        self.log_loss = np.log([losses[part].mean() for part in parts])
        self.rate = np.array([rates[part].mean() for part in parts])
        self.ends = steps[[part[-1] for part in parts]]
        # Sum of the rates within each window, and of all rates up to its middle.
        moved = self.rate * np.diff(self.ends, prepend=0)
        self.done = (np.cumsum(moved) - moved / 2) / moved.sum()

    @property
    def few(self) -> int:
        """Number of windows over which a value is averaged."""
        return max(1, len(self.log_loss) // 10)

    @cached_property
    def smooth(self) -> Float[np.ndarray, " n"]:
        """``log_loss``, smoothed by a moving average."""
        reach = self.few // 2
        padded = np.pad(self.log_loss, reach, mode="edge")
        return np.convolve(padded, np.ones(2 * reach + 1) / (2 * reach + 1), "valid")

    @property
    def end(self) -> float:
        """Log loss at the end."""
        return float(self.log_loss[-self.few :].mean())

    @property
    def left(self) -> float:
        """The final loss over the first."""
        return float(np.exp(self.end) / self.began)

    @property
    def risen(self) -> float:
        """The final loss over the lowest."""
        return float(np.exp(self.end - min(self.smooth.min(), self.end)))

    @property
    def noise(self) -> float:
        """Standard deviation of log loss about its trend, from second differences."""
        # White noise of s.d. σ has second differences of s.d. √6 σ (1² + 2² + 1²). The median of
        # absolute values, 0.6745 s.d., is robust against jumps.
        return float(np.median(np.abs(np.diff(self.log_loss, 2))) / (0.6745 * 6**0.5))

    def late(self) -> tuple[float, float]:
        """The decrease of log loss after the rate fell below half its peak, and its relative pace.

        The pace is the decrease per ``done``, over that before (from 0.2 on, when the first, steep
        decrease is past). Both are 0 if the rate never fell below half, or rose again afterwards,
        as in a run that was resumed with more steps.
        """
        peak = int(self.rate.argmax())
        below = np.nonzero(self.rate[peak:] < self.rate[peak] / 2)[0]
        if not below.size:
            return 0.0, 0.0
        after = peak + int(below[0])
        if np.any(np.diff(self.rate[after:]) > 0):
            return 0.0, 0.0
        # Where exactly the rate fell below half, between two windows.
        middle = np.interp(
            self.rate[peak] / 2, self.rate[[after, after - 1]], self.done[[after, after - 1]]
        )
        early, half = np.interp([0.2, middle], self.done, self.smooth)
        fall = half - self.end
        before = max((early - half) / max(middle - 0.2, 1e-9), 1e-9)
        return float(fall), float(fall / (1 - middle) / before)

    def last_third(self) -> tuple[float, float]:
        """The decrease of log loss over the last third of the run, and its standard error.

        The end of the schedule, where the rate is below a tenth of its peak and the weights hardly
        move, is left out.
        """
        peak = int(self.rate.argmax())
        alive = [i for i, rate in enumerate(self.rate) if i <= peak or 10 * rate >= self.rate[peak]]
        third = np.array(alive[-max(3, len(alive) // 3) :])
        x, y = self.done[third], self.log_loss[third]
        slope, start = np.polyfit(x, y, 1)
        spread = float(np.std(y - slope * x - start, ddof=2)) if len(third) > 2 else 0.0
        # Standard error of a fitted line's rise: σ √(12 / n) for n evenly spaced points.
        return float(-slope * np.ptp(x)), spread * float(np.sqrt(12 / len(third)))


def _too_short(train: Sequence[Row]) -> tuple[str, int]:
    """Why a run is too short to judge, and how many steps are enough; empty and 0 if it is not."""
    if not train:
        return "too short to judge: no loss was logged yet", 0
    entries, steps = len(train), [0, *(int(entry["step"]) for entry in train)]
    if entries >= FEWEST_ENTRIES and steps[-1] >= FEWEST_STEPS:
        return "", 0
    # Entries stay as far apart as now: a run keeps its training.log_every.
    enough = max(FEWEST_STEPS, FEWEST_ENTRIES * max(b - a for a, b in pairwise(steps)))
    return (
        f"too short to judge: losses were logged {entries} {'time' if entries == 1 else 'times'} "
        f"over {_steps(steps[-1])}, at least {FEWEST_ENTRIES} over {FEWEST_STEPS} are needed; "
        f"training.steps={enough} is enough"
    ), enough


def _steps(count: int) -> str:
    return f"{count} {'step' if count == 1 else 'steps'}"


def _curve_faults(curve: _LossCurve) -> Iterator[Finding]:
    """At most one fault of the loss curve: each of them may look like the next."""
    from_to = f"from {curve.began:.4g} to {curve.ended:.4g}"
    lower = "lower optimizer.muon_lr and optimizer.adamw_lr tenfold"
    fall, pace = curve.late()
    total = log(curve.began) - curve.end
    if curve.risen > _RISEN:
        yield Finding(
            "learning rate too high",
            f"the loss ended at {curve.ended:.4g}, {curve.risen:.1f} times its minimum; {lower}",
        )
    elif fall > _LATE_FALL and pace > _LATE_PACE:
        yield Finding(
            "learning rate too high",
            f"the loss decreased mainly as the rate did: by {1 - np.exp(-fall):.0%} after the rate "
            f"fell below half its peak, {pace:.1f} times as fast as before; {lower}",
        )
    elif curve.left > _LITTLE and curve.noise > max(_JUMPY, _JUMPY_SHARE * total):
        yield Finding(
            "learning rate too high",
            f"the loss fluctuated by {curve.noise:.0%} about its trend and only went {from_to}; "
            f"{lower}",
        )
    elif curve.left > _LITTLE and _slow(curve):
        yield Finding(
            "learning rate too low",
            f"the loss decreased at a steady, slow pace, {from_to}, and {curve.left:.0%} of it is "
            "left; raise optimizer.muon_lr and optimizer.adamw_lr tenfold, or training.steps",
        )
    elif _flat(curve):
        yield Finding(
            "plateau",
            f"the loss went {from_to}, but decreased by only "
            f"{max(curve.last_third()[0], 0):.1%} over the last third of the run before the rate "
            "was low; raise model.width or model.layers, or lower training.steps",
        )


def _flat(curve: _LossCurve) -> bool:
    fall, error = curve.last_third()
    return abs(fall) + error < _FLAT


def _slow(curve: _LossCurve) -> bool:
    """Whether the loss decreased no faster at first than later, or hardly at all."""
    first = curve.done[0]
    third = float(np.interp(first + (1 - first) / 3, curve.done, curve.smooth))
    began = log(curve.began)
    return curve.left > _NOTHING or (began - third) < _STRAIGHT * (began - curve.end)


def _term_faults(train: Sequence[Row]) -> Iterator[Finding]:
    losses = [entry["loss"] for entry in train]
    fell = min(_thirds(losses)[1:]) < _FELL * _thirds(losses)[0]
    names = [name for name in train[0]["terms"] if all(name in e["terms"] for e in train)]
    for name in names if len(names) > 1 else []:
        values = [entry["terms"][name] for entry in train]
        shares = [value / loss for value, loss in zip(values, losses, strict=True)]
        if min(shares) > _DOMINANT:
            share = fmean(shares)
            # Factor that makes it as large as the mean of the other terms.
            lower = (1 - share) / share / (len(names) - 1)
            yield Finding(
                f"{name} dominates the loss",
                f"its share stayed above {min(shares):.0%}, so that the other terms hardly count; "
                f"multiply objective.{name} by {lower:.1g} to balance it with them",
            )
        elif fell and np.ptp(_thirds(values)) <= _UNMOVED * max(_thirds(values)):
            yield Finding(
                f"{name} does not change",
                f"it went from {values[0]:.4g} to {values[-1]:.4g} while the loss went from "
                f"{losses[0]:.4g} to {losses[-1]:.4g}; raise objective.{name}, or set it to 0 to "
                "save its cost",
            )


def _thirds(values: Sequence[float]) -> list[float]:
    return [float(part.mean()) for part in np.array_split(np.array(values), 3)]


def _overfitting(train: Sequence[Row], val: Sequence[Row]) -> Iterator[Finding]:
    scored = _scored(val)
    best = best_validation(scored)
    if best is None or best in scored[-2:]:
        return
    last = fmean(entry["grid_dice"] for entry in scored[-2:])
    then = [entry["loss"] for entry in train if entry["step"] <= best["step"]]
    before, now = (fmean(losses[-3:]) for losses in (then, [entry["loss"] for entry in train]))
    if last < best["grid_dice"] - _DICE_LOST and now < _LOSS_GAINED * before:
        yield Finding(
            "overfitting",
            f"the grid Dice fell from {best['grid_dice']:.3f} at step {best['step']} to {last:.3f} "
            f"while the loss decreased further from {before:.4g} to {now:.4g}; train on more "
            "hearts, raise augment.rotation_deg or optimizer.weight_decay, or lower training.steps",
        )


def _failed_validations(val: Sequence[Row]) -> Iterator[Finding]:
    if failed := [entry for entry in val if entry.get("error")]:
        yield Finding(
            "validations failed",
            f"{len(failed)} of {len(val)}, the last after step {failed[-1]['step']} with "
            f"“{failed[-1]['error']}”; fix its cause, or set training.validate_every=0",
        )


def _waiting(train: Sequence[Row]) -> Iterator[Finding]:
    share = waiting_share(train)
    if share is not None and share > _WAITING:
        yield Finding(
            "waiting for data",
            f"{share:.0%} of the time was spent waiting for batches; raise training.data_workers",
        )


def _is_positive(entry: Row) -> bool:
    loss = entry.get("loss")
    return loss is not None and isfinite(loss) and loss > 0


def _scored(val: Sequence[Row]) -> list[Row]:
    return [entry for entry in val if entry.get("grid_dice") is not None]
