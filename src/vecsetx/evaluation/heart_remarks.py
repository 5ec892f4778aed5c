"""What to know about a reconstructed heart, as its table on the terminal and its page say it."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from vecsetx.evaluation.refinement_gain import refinement_of
from vecsetx.sampling.quality.findings import asks_for_a_look

__all__ = ["HeartRemark", "as_sentence", "heart_remarks"]

_LOST_DICE = 0.3
"""An observed structure with a smaller Dice is not there, or elsewhere."""

_MORE_STEPS = 100
"""Steps of refinement to try where an observed structure is lost. The Visible Human's coronaries
have a Dice of 0.13 after the usual ten, and 0.24 after these (docs/lab-log.md, 2026-11-30)."""

_VOXELS_ACROSS = 2.0
"""Voxels that the width of a vessel must hold so that its mesh does not break."""

_COARSE_MM = 1.5
"""Larger voxels of the mesh may be why a thin inferred structure is small or in pieces."""

_FAR_MM = 0.5
"""Decimation that moves a surface farther on average is worth a look."""

_INFORMS = (
    *("its ids fit label set", "uses ids that label set", "organs other than the heart"),
    *("coordinates were converted", "specks removed", "duplicate faces"),
    *("a reconstruction by vecsetx", "labels.nii.gz has", "--enlarge added no"),
    "slices were shifted by",
)
"""Words of those remarks that need no look."""

Structures = Mapping[str, Mapping[str, Any]]


class HeartRemark(NamedTuple):
    """A remark on a heart.

    Attributes:
        text: A sentence, without a full stop at its end.
        kind: ``fault`` if something is missing, ``look`` if a person should look at it, else
            ``note``.
    """

    text: str
    kind: Literal["fault", "look", "note"] = "note"


def heart_remarks(summary: Mapping[str, Any]) -> list[HeartRemark]:
    """Return all remarks on a heart: a misfit, those on its structures, and others.

    Args:
        summary: As in ``summary.json``: ``structures``, ``provenance`` and ``misfit``.
    """
    structures, provenance = summary["structures"], summary["provenance"]
    remarks = [
        *_unlike_the_input(structures, provenance),
        *_too_thin(structures, provenance["mesh_resolution_mm"]),
        *_doubtful(structures, provenance["mesh_resolution_mm"]),
        *_not_compared(provenance["not_compared"]),
        *_removed(structures),
        *_decimated(structures),
        HeartRemark(refinement_of(provenance)),
        *(
            HeartRemark(text, _kind(text, text == summary.get("misfit")))
            for text in provenance["remarks"]
        ),
    ]
    remarks.sort(key=lambda remark: remark.text != summary.get("misfit"))  # the gravest first
    return [remark._replace(text=as_sentence(remark.text)) for remark in remarks]


def _kind(remark: str, is_misfit: bool) -> Literal["fault", "look", "note"]:
    if is_misfit:
        return "fault"
    informs = any(words in remark for words in _INFORMS) and not asks_for_a_look(remark)
    return "note" if informs else "look"


def as_sentence(text: str) -> str:
    """Begin with a capital letter, unless a name or a file stands first; drop a last full stop."""
    first = text.split(maxsplit=1)[0].rstrip(",:;") if text.strip() else ""
    text = text[0].upper() + text[1:] if first.isalpha() and first.islower() else text
    return text.removesuffix(".")


def _unlike_the_input(
    structures: Structures, provenance: Mapping[str, Any]
) -> Iterator[HeartRemark]:
    far, lost, grown = [], [], []
    for name, found in structures.items():
        if against := found["agreement"]:
            what = name if found["observed"] else f"{name} (not shown to the model)"
            far += [what] if against["volume_differs"] else []
            grows = against["volume_differs"] and against["volume_difference"] > 0
            grown += [name] if grows and provenance["complete"] and found["observed"] else []
            lost += [name] if found["observed"] and against["dice"] < _LOST_DICE else []
    if far:
        why = f" (with --complete, {', '.join(grown)} may go on beyond the input)" if grown else ""
        yield HeartRemark(f"! over 10% off the input's volume: {', '.join(far)}{why}", "look")
    if lost:
        why = f"not where the input shows it (Dice below {_LOST_DICE}): {', '.join(lost)}"
        steps = provenance["refined"]["steps"] if provenance["refined"] else 0
        more = f", and --refine {_MORE_STEPS} comes nearer to it" if steps < _MORE_STEPS else ""
        yield HeartRemark(f"{why}; --keep-observed keeps what the input shows{more}", "fault")


def _too_thin(structures: Structures, voxel_mm: float) -> Iterator[HeartRemark]:
    """Name vessels that are too thin for the meshing grid, and a resolution that suits them."""
    thin = {
        name: width_mm
        for name, found in structures.items()
        if (width_mm := found["input_width_mm"]) and width_mm < _VOXELS_ACROSS * voxel_mm
    }
    if thin:
        each = ", ".join(f"{name} ({width_mm:.1f} mm)" for name, width_mm in thin.items())
        fine_mm = max(0.1, int(10 * min(thin.values()) / _VOXELS_ACROSS) / 10)
        yield HeartRemark(
            f"meshed with voxels of {voxel_mm:.2g} mm, which may break vessels that are less than "
            f"twice as wide: {each}; --resolution-mm {fine_mm:g} is fine enough",
            "look",
        )


def _doubtful(structures: Structures, voxel_mm: float) -> Iterator[HeartRemark]:
    """Name doubtful structures; those that the input lacks together, as hearts often lack some."""
    lacking: dict[str, str] = {}
    for name, found in structures.items():
        if not found["doubtful"]:
            continue
        why = "; ".join(found["doubtful"])
        if voxel_mm > _COARSE_MM and any(word in why for word in (" in its mesh", " pieces")):
            why += f" (voxels of {voxel_mm:.2g} mm may break its mesh: try --resolution-mm 1)"
        if found["observed"] or found["agreement"]:
            yield HeartRemark(f"{name} is doubtful: {why}", "look")
        else:
            lacking[name] = why
    if len(lacking) == 1:
        ((name, why),) = lacking.items()
        yield HeartRemark(f"{name} is doubtful: {why}", "look")
    elif lacking:
        others = ",".join(name for name in structures if name not in lacking)
        without = f"; --structures {others} leaves them out" if others else ""
        each = "; ".join(f"{name}: {why}" for name, why in lacking.items())
        yield HeartRemark(f"doubtful, and not in the input: {each}{without}", "look")


def _not_compared(why: str | None) -> Iterator[HeartRemark]:
    if why:
        yield HeartRemark(
            f"not compared with the input, as {why}, so that nothing warns of volumes that differ",
            "look",
        )


def _decimated(structures: Structures) -> Iterator[HeartRemark]:
    errors = {name: found["decimation"] for name, found in structures.items()}
    off = {name: error for name, error in errors.items() if error}
    if off:
        worst = max(off, key=lambda name: float(off[name]["mean_mm"]))
        error = off[worst]
        yield HeartRemark(
            f"decimation moved surfaces by {error['mean_mm']:.2g} mm on average in {worst}, where "
            f"it moved them most, and by up to {error['max_mm']:.2g} mm there",
            "look" if error["mean_mm"] > _FAR_MM else "note",
        )


def _removed(structures: Structures) -> Iterator[HeartRemark]:
    removed = {name: found["specks"] for name, found in structures.items() if found["specks"]}
    if removed:
        each = ", ".join(
            f"{name} {specks['number']} ({specks['ml']:.2g} ml)" for name, specks in removed.items()
        )
        yield HeartRemark(
            f"pieces that nothing in the input supports were removed: {each}; --keep-specks keeps "
            "them"
        )
