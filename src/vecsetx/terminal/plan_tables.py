"""The tables of ``vecsetx plan``."""

from vecsetx.terminal.table import Column, counted, print_table
from vecsetx.training.memory import PARTS
from vecsetx.training.meters import GB, bytes_text, unit_of
from vecsetx.training.plan import CONTEXT_BYTES, FRAGMENTED_SHARE, WAYS, Plan, name_of

__all__ = ["print_plan"]


def print_plan(plan: Plan, gpu_bytes: float) -> None:
    """Print each part's memory, and what recomputing activations changes.

    Args:
        plan: The memory of a step.
        gpu_bytes: Memory of one GPU, for the largest batch.
    """
    # One unit for both tables, so that figures compare at a glance: that of the largest part.
    unit = unit_of(max(max(plan.memory(way).most(plan.hearts).values()) for way in WAYS))
    _print_parts(plan, unit)
    _print_ways(plan, gpu_bytes, unit)


def _print_parts(plan: Plan, unit: str) -> None:
    """Tabulate each part's memory at the moment of the peak, and its own maximum."""
    columns = [
        Column("Part", is_text=True),
        Column("kept at the peak", f"with training.{name_of(False)}"),
        Column("kept at most", leaves=1),
        Column("recomputed at the peak", f"with training.{name_of(True)}"),
        Column("recomputed at most", leaves=2),
    ]
    peaks = {way: plan.memory(way).peak(plan.hearts) for way in WAYS}
    mosts = {way: plan.memory(way).most(plan.hearts) for way in WAYS}
    rows = [
        [part, *(bytes_text(of[way][part], unit) for way in WAYS for of in (peaks, mosts))]
        for part in PARTS
    ]
    measured = {way: sum(peaks[way].values()) for way in WAYS}
    fragmented = {way: FRAGMENTED_SHARE * measured[way] for way in WAYS}
    totals = [
        [title, *(cell for way in WAYS for cell in (bytes_text(sizes[way], unit), ""))]
        for title, sizes in (
            ("measured", measured),
            (f"fragmentation, {FRAGMENTED_SHARE:.0%} (assumed)", fragmented),
            ("CUDA and kernels (assumed)", dict.fromkeys(WAYS, CONTEXT_BYTES)),
            ("total", {way: plan.total(way) for way in WAYS}),
        )
    ]
    title = f"A step of {counted(plan.hearts, 'heart')} on one GPU (1 GB is 10⁹ bytes)"
    print_table(title, columns, rows, totals)


def _print_ways(plan: Plan, gpu_bytes: float, unit: str) -> None:
    columns = [
        Column("training.", is_text=True),
        Column("kept per heart", "activations"),
        Column("total"),
        Column(f"largest batch in {gpu_bytes / GB:g} GB"),
    ]
    rows = [
        [
            name_of(way),
            bytes_text(plan.memory(way).kept_per_heart(), unit),
            bytes_text(plan.total(way), unit),
            str(plan.largest_batch(way, gpu_bytes)),
        ]
        for way in WAYS
    ]
    print_table("Recomputing activations", columns, rows)
