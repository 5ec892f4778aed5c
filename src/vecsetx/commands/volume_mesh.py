"""``vecsetx volume-mesh``: tetrahedral meshes of hearts, for solvers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import parse_names, structure_names
from vecsetx.cohort.heart_to_mesh import ReconstructingModel
from vecsetx.cohort.meshed_heart import MeshedHeart
from vecsetx.cohort.out_folder import results_folder
from vecsetx.cohort.volume_meshing import VolumeMeshing
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.idle_options import check_idle
from vecsetx.errors import InputError
from vecsetx.fibres.heart_fibres import parse_angles
from vecsetx.files import write_json
from vecsetx.limits import VOXELS
from vecsetx.model.built_in import recorded_name
from vecsetx.report.volume_mesh_page import write_volume_mesh_page
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import waiting
from vecsetx.volume_mesh.edge_lengths import parse_edges, parse_walls
from vecsetx.volume_mesh.valves import check_thickness
from vecsetx.workers.for_each import open_workers, workers_or_here
from vecsetx.workers.heart_work import Records

__all__ = ["PAGE", "QUALITY", "MeshedHearts", "volume_mesh"]

QUALITY, PAGE = "quality.json", "volume_mesh.html"

_SCHEMA = 1
"""Version of ``quality.json``, for the scripts that read it."""


class MeshedHearts(NamedTuple):
    """What ``volume-mesh`` made.

    Attributes:
        hearts: Heart → what is known of its mesh.
        failed: Heart → why it could not be meshed.
    """

    hearts: Mapping[str, MeshedHeart]
    failed: Mapping[str, str]


def volume_mesh(
    inputs: Sequence[Path],
    out: Path,
    edge_mm: str = "",
    structures: str = "",
    without: str = "",
    wall: str = "",
    valves: float = 0.0,
    tags: str = "label-set",
    fibres: str = "60,-60",
    sheets: str = "-65,25",
    strict: bool = False,
    seed: int = 0,
    extension: str = "vtu",
    space: str = "lps",
    label_set: LabelSet | None = None,
    input_space: str = "lps",
    units: str = "mm",
    trust_names: bool = False,
    most_voxels: int = VOXELS,
    workers: int | None = None,
    dask: str | None = None,
    model: Path | None = None,
    refine: int | None = None,
) -> MeshedHearts:
    """Mesh hearts with tetrahedra.

    Writes ``OUT/NAME.vtu`` (or ``OUT/NAME.msh``, or a folder ``OUT/NAME``) and
    ``OUT/NAME.interfaces.vtp`` of each, ``quality.json``, and the page ``volume_mesh.html``.

    Args:
        inputs: Hearts with volumes (label maps, masks, closed meshes, or results of
            ``reconstruct``): files, or folders of them. With a model, hearts of any kind.
        out: Folder for the results.
        edge_mm: Edges at interfaces, as :func:`~vecsetx.volume_mesh.edge_lengths.parse_edges` takes
            them.
        structures: Comma-separated names of what is meshed; empty for all.
        without: Comma-separated names of regions that are left out of the files, such as blood.
        wall: Thickness of walls around structures, such as ``RV=3.5``; empty for none.
        valves: Thickness of valves as discs, mm; 0 for openings.
        tags: Numbers of regions: ``label-set`` or ``four-chamber``
            (:data:`~vecsetx.volume_mesh.tags.FOUR_CHAMBER`).
        fibres: Angles of fibres at the inner and the outer surface of ventricles, degrees; ``none``
            for neither fibres nor coordinates.
        sheets: Angles of sheets, likewise.
        strict: Whether a structure that is too thin for its edges is an error; else they are
            halved.
        seed: The same seed gives the same mesh.
        extension: Format of the meshes: ``vtu``, ``msh``, ``opencarp`` or ``simvascular``.
        space: Axes of the files, ``lps`` or ``ras``.
        label_set: What ids mean; None: what the files say.
        input_space: Axes of meshes whose files do not say.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        most_voxels: Most voxels of a label map.
        workers: Number of processes; None for one per core.
        dask: Address of a Dask scheduler, whose workers are used instead.
        model: Folder of a run or of a saved model whose reconstructions are meshed; None for the
            hearts' own surfaces.
        refine: Steps of refinement of a reconstruction; None for the usual number.

    Raises:
        InputError: An option or input cannot be used, ``out`` cannot be written, another run is
            writing into it, or no heart could be meshed.
    """
    parse_edges(edge_mm, structure_names())
    parse_walls(wall, structure_names())
    parse_names(structures, structure_names(), "--structures")
    check_thickness(valves)
    parse_angles(fibres, sheets)
    if refine is not None and model is None:
        raise InputError(
            f"--refine {refine}: refines the reconstruction of a model; add --model built-in, or "
            "leave it out"
        )
    with results_folder(out):
        chosen, usual = None, None
        if model is not None:
            with waiting("reading the model"):
                shared, trained = WorkingModel.of(model, "cpu", here=False)
            chosen = ReconstructingModel(shared, recorded_name(model), refine)
            usual = trained.label_set
        with waiting("finding hearts"):
            hearts = find_hearts(
                inputs, label_set, input_space, units, usual, trust_names, most_voxels=most_voxels
            )
        check_idle(
            hearts.values(),
            label_set is not None,
            input_space,
            units,
            trust_names,
            space_option="--input-space",
        )
        work = VolumeMeshing(
            out.resolve(),
            edge_mm,
            structures,
            without,
            wall,
            valves,
            tags,
            fibres,
            sheets,
            extension,
            space,
            strict,
            seed,
            chosen,
        )
        # One heart alone has all cores: distances and shapes are computed in threads.
        opened = workers_or_here if len(hearts) == 1 else open_workers
        with opened(workers, dask) as executor:
            found = run_cohort("meshing hearts", work, hearts, Records.within(out), executor)
        if not found.results:
            raise InputError("\n".join(found.failed.values()))
        content = {
            "schema": _SCHEMA,
            "provenance": {"VecSetX": __version__},
            "hearts": {
                name: {"source": str(hearts[name].path), **heart.to_dict()}
                for name, heart in found.results.items()
            },
            "failed": found.failed,
        }
        write_json(out / QUALITY, content)
        with waiting(f"writing {PAGE}"):
            drawings = {name: heart.drawing for name, heart in found.results.items()}
            write_volume_mesh_page(out / PAGE, content, drawings)
    return MeshedHearts(found.results, found.failed)
