"""``vecsetx compare``: compare two models' scores of the same hearts, paired by heart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecsetx.cohort.out_folder import results_folder
from vecsetx.errors import InputError
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.evaluation.comparison import compare, write_comparison
from vecsetx.evaluation.stored_scores import check_stored_scores
from vecsetx.plain_data import PlainDataError, read_json
from vecsetx.report.comparison_page import write_comparison_page
from vecsetx.schemas import COMPARISON, SCORES, check_schema, schema_of
from vecsetx.terminal.next_step import typed
from vecsetx.terminal.progress_bars import waiting
from vecsetx.terminal.remarks import print_remarks

__all__ = ["compare_scores"]

_SCORES = "scores.json"


@waiting("comparing")
def compare_scores(a: Path, b: Path, out: Path, seed: int = 0) -> dict[str, Any]:
    """Compare two evaluations, paired by heart.

    Writes ``compare.json``, ``comparison.csv`` and ``comparison.html`` into ``out``,
    and prints the remarks on the hearts.

    Args:
        a: Folder of one evaluation, or its ``scores.json``.
        b: Folder of the other one, or its ``scores.json``.
        out: Folder for the result.
        seed: Seed of the bootstrap.

    Returns:
        The result of :func:`~vecsetx.evaluation.comparison.compare`, the provenance of both as
        ``models``, and the options of ``evaluate`` that differ: name → values in A and B.

    Raises:
        InputError: One of them cannot be read, both are the same, their hearts or truths differ,
            ``out`` cannot be written, or another run is writing into it.
    """
    with results_folder(out):
        file_a, file_b = _file(a), _file(b)
        of_a, of_b = _read(file_a), _read(file_b)
        if file_a.resolve() == file_b.resolve():
            raise InputError(
                f"{b}: is the same evaluation as A, which differs from itself in nothing; give "
                "that of another model"
            )
        models = {"a": of_a["provenance"], "b": of_b["provenance"]}
        comparison = {
            "schema": COMPARISON,
            "models": models,
            "options": _differing(of_a.get("options", {}), of_b.get("options", {})),
            **compare(of_a, of_b, Bootstrap(seed=seed)),
        }
        write_comparison(out, comparison)
        write_comparison_page(out / "comparison.html", comparison)
    print_remarks(_remarks({"A": of_a, "B": of_b}))
    return comparison


def _file(path: Path) -> Path:
    """Return the ``scores.json`` of an evaluation.

    Raises:
        InputError: There is none.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; vecsetx evaluate writes it, with --out")
    file = path / _SCORES if path.is_dir() else path
    if not file.exists():
        nested = sorted(str(found.parent) for found in path.glob("*/scores.json"))
        remedy = f"run {typed('evaluate', 'DATA', '--model', 'MODEL', '--out', path)} first"
        if nested:
            remedy = f"did you mean {' or '.join(nested[:3])}?"
        elif any((path / name).exists() for name in ("recipe.yaml", "model.json")):
            command = typed("evaluate", "DATA", "--model", path, "--out", "scores/")
            remedy = f"it is a model: run {command} first, and give scores/"
        raise InputError(f"{path}: has no scores.json, so it is no evaluation; {remedy}")
    return file


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = sorted(a.keys() | b.keys())
    return {name: [a.get(name), b.get(name)] for name in names if a.get(name) != b.get(name)}


def _remarks(evaluations: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the remarks on each heart, with the evaluation unless all of them have the remark."""
    of: dict[str, dict[str, list[str]]] = {}  # heart → remark → evaluations
    for which, scores in evaluations.items():
        for heart, remarks in scores.get("remarks", {}).items():
            for remark in remarks:
                of.setdefault(heart, {}).setdefault(remark, []).append(which)
    return {
        heart: [
            remark if len(which) == len(evaluations) else f"{remark} ({which[0]})"
            for remark, which in remarks.items()
        ]
        for heart, remarks in of.items()
    }


def _read(file: Path) -> dict[str, Any]:
    try:
        scores = read_json(file)
    except (OSError, PlainDataError) as error:
        if file.name != _SCORES and (file.parent / _SCORES).exists():
            raise InputError(f"{file}: not {_SCORES}; did you mean {file.parent}?") from error
        raise InputError(
            f"{file}: cannot be read as scores ({error}); give the output folder of vecsetx "
            "evaluate, or its scores.json"
        ) from error
    if not isinstance(scores, dict) or not {"summary", "hearts", "provenance"} <= scores.keys():
        raise InputError(f"{file}: contains no scores; give a scores.json of vecsetx evaluate")
    check_schema(file, schema_of(scores), SCORES, "run vecsetx evaluate again")
    if "scoring" not in scores:
        raise InputError(
            f"{file}: written by an older VecSetX, which scored only overlap; run vecsetx evaluate "
            "again"
        )
    try:
        check_stored_scores(scores)
    except PlainDataError as error:
        raise InputError(f"{file}: damaged scores: {error}") from error
    return scores
