"""Activate and inflate ventricles on a mesh of ``vecsetx volume-mesh``, with scikit-fem.

    vecsetx volume-mesh patient.nii.gz --out mesh/ --structures LV,Myocardium
    python examples/simulate.py mesh/patient.vtu --out patient_simulated.vtu

Muscle is what has fibres. Activation starts at the apex and spreads faster along fibres. Then a
pressure in the left ventricle inflates the muscle, which is fixed at the base, elastic, and stiffer
along fibres. The results are point arrays for ParaView: ``activation_ms`` and ``displacement_mm``.
Strains are taken as small, so pressures should be, too.
"""

import argparse
from pathlib import Path

import numpy as np
import pyamg
import pyvista as pv
from skfem import Basis, BilinearForm, ElementTetP1, ElementVector, LinearForm, MeshTet, condense
from skfem.helpers import ddot, dot, grad, sym_grad, trace

ALONG_MM_PER_MS, ACROSS_MM_PER_MS = 0.6, 0.4
"""Speeds of activation along and across fibres."""

_ROUNDS = 40
"""How often activation times are found from their own directions."""

YOUNG_KPA, POISSON, FIBRE_KPA = 10.0, 0.4, 10.0
"""Stiffness of muscle, and what fibres add along themselves."""


def activation_ms(
    points_mm: np.ndarray,
    tetrahedra: np.ndarray,
    fibres: np.ndarray,
    start: np.ndarray,
    along: float = ALONG_MM_PER_MS,
    across: float = ACROSS_MM_PER_MS,
) -> np.ndarray:
    """Return when each point is activated: the eikonal equation, ∇T · D ∇T = 1.

    What diffuses from the start for a short time shows where activation comes from, and a second
    equation finds the times with these directions (Crane, Weischedel, Wardetzky: "Geodesics in
    heat", ACM TOG 2013). Directions of these times are better ones, so the second equation is
    solved again (Belyaev, Fayolle: "On variational and PDE-based distance function approximations",
    Computer Graphics Forum 2015).
    """
    basis = Basis(_mesh(points_mm, tetrahedra), ElementTetP1(), intorder=2)
    speeds = across**2 * np.eye(3) + (along**2 - across**2) * fibres[:, :, None] * fibres[:, None]
    tensor = np.broadcast_to(
        np.moveaxis(speeds, 0, -1)[..., None], (3, 3, len(tetrahedra), basis.dx.shape[1])
    )

    @BilinearForm
    def diffusion(u, v, w):
        return np.einsum("ij...,j...,i...->...", tensor, grad(u), grad(v))

    @BilinearForm
    def mass(u, v, w):
        return u * v

    stiffness = diffusion.assemble(basis).tocsr()
    # What diffuses falls off by e over each `reach`: in a shorter one, rounding drowns it far away.
    reach_mm = np.linalg.norm(np.ptp(points_mm, axis=0)) / 15
    time = (reach_mm / across) ** 2
    source = np.zeros(len(points_mm))
    source[start] = 1
    heat = _solved(mass.assemble(basis).tocsr() + time * stiffness, source)
    inner, _, times, free = condense(stiffness, np.zeros(len(points_mm)), D=start)
    solver = pyamg.smoothed_aggregation_solver(inner.tocsr())
    slope = -basis.interpolate(heat).grad
    for _ in range(_ROUNDS):
        flux = np.einsum("ijtq,jtq->itq", tensor, slope)
        length = np.sqrt(np.maximum((flux * slope).sum(axis=0), np.finfo(float).tiny))
        directed = LinearForm(lambda v, w, flux=flux / length: dot(flux, grad(v))).assemble(basis)
        times[free] = solver.solve(directed[free], x0=times[free], tol=1e-6, accel="cg")
        slope = basis.interpolate(times).grad
    return np.maximum(times, 0)


def displacement_mm(
    points_mm: np.ndarray,
    tetrahedra: np.ndarray,
    fibres: np.ndarray,
    inner: np.ndarray,
    fixed: np.ndarray,
    pressure_kpa: float,
    fibre_kpa: float = FIBRE_KPA,
) -> np.ndarray:
    """Return how far each point moves when a pressure acts on the inner facets.

    Args:
        points_mm: Points of the muscle.
        tetrahedra: Their corners.
        fibres: Unit vectors.
        inner: Corners of the facets around the cavity.
        fixed: Points that stay.
        pressure_kpa: The pressure.
        fibre_kpa: What fibres add to the stiffness along themselves.
    """
    basis = Basis(_mesh(points_mm, tetrahedra), ElementVector(ElementTetP1()), intorder=1)
    shear = YOUNG_KPA / (2 * (1 + POISSON))
    bulk = YOUNG_KPA * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
    directions = fibres.T[:, :, None]

    def stretch(strain):
        return np.einsum("i...,ij...,j...->...", directions, strain, directions)

    @BilinearForm
    def elastic(u, v, w):
        one, other = sym_grad(u), sym_grad(v)
        isotropic = 2 * shear * ddot(one, other) + bulk * trace(one) * trace(other)
        return isotropic + fibre_kpa * stretch(one) * stretch(other)

    forces = _pressed(points_mm, tetrahedra, inner, pressure_kpa)
    held = (3 * fixed[:, None] + np.arange(3)).ravel()
    found = _solved(*condense(elastic.assemble(basis).tocsr(), forces.ravel(), D=held), block=True)
    return found.reshape(-1, 3)


def _pressed(
    points_mm: np.ndarray, tetrahedra: np.ndarray, inner: np.ndarray, pressure_kpa: float
) -> np.ndarray:
    """Return forces on points, kPa·mm²: a third of its pressure times area on each corner."""
    a, b, c = np.moveaxis(points_mm[inner], 1, 0)
    normals = np.cross(b - a, c - a) / 2
    # Into the muscle: towards the fourth corner of the tetrahedron that has the facet.
    ordered = {tuple(facet): index for index, facet in enumerate(np.sort(inner, axis=1).tolist())}
    for skipped in range(4):
        facets = np.sort(np.delete(tetrahedra, skipped, axis=1), axis=1)
        near = np.flatnonzero(np.isin(facets, inner).all(axis=1))
        for tetrahedron, facet in zip(near.tolist(), facets[near].tolist(), strict=True):
            index = ordered.get(tuple(facet))
            if index is not None:
                inwards = points_mm[tetrahedra[tetrahedron, skipped]] - a[index]
                normals[index] *= np.sign(normals[index] @ inwards)
    forces = np.zeros_like(points_mm)
    for corner in range(3):
        np.add.at(forces, inner[:, corner], pressure_kpa * normals / 3)
    return forces


def _mesh(points_mm: np.ndarray, tetrahedra: np.ndarray) -> MeshTet:
    return MeshTet(
        np.ascontiguousarray(points_mm.T, dtype=float),
        np.ascontiguousarray(tetrahedra.T, dtype=np.int64),
    )


def _solved(matrix, right, values=None, free=None, block: bool = False) -> np.ndarray:
    """Solve by conjugate gradients, preconditioned by algebraic multigrid."""
    matrix = matrix.tocsr()
    translations = np.tile(np.eye(3), (matrix.shape[0] // 3, 1)) if block else None
    solver = pyamg.smoothed_aggregation_solver(
        matrix.tobsr((3, 3)) if block else matrix, B=translations
    )
    found = solver.solve(right, tol=1e-10, maxiter=1000, accel="cg")
    if values is None:
        return found
    values[free] = found
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mesh", type=Path, help="NAME.vtu of vecsetx volume-mesh, with fibres")
    parser.add_argument("--out", type=Path, required=True, help="file for the result, .vtu")
    parser.add_argument("--pressure-kpa", type=float, default=0.2, help="in the left ventricle")
    options = parser.parse_args()
    whole = pv.read(options.mesh)
    surfaces = pv.read(options.mesh.with_suffix(".interfaces.vtp"))
    if "fiber" not in whole.cell_data:
        parser.error(f"{options.mesh} has no fibres: mesh Myocardium and LV, without --fibres none")
    # 1. The muscle alone, with points of its own.
    fibres = np.asarray(whole.cell_data["fiber"], dtype=float)
    cells = np.linalg.norm(fibres, axis=1) > 0.5
    used, tetrahedra = np.unique(whole.cells.reshape(-1, 5)[cells, 1:], return_inverse=True)
    tetrahedra = tetrahedra.reshape(-1, 4)
    points_mm = np.asarray(whole.points, dtype=float)[used]
    height = whole.point_data["apicobasal"][used]
    # 2. Its left inner surface.
    number = surfaces.field_data["Interfaces"].tolist().index("LV endocardium")
    facets = surfaces.faces.reshape(-1, 4)[surfaces.cell_data["Interface"] == number, 1:]
    nodes = surfaces.point_data["Node"][facets]
    inner = np.searchsorted(used, nodes[np.isin(nodes, used).all(axis=1)])
    # 3. Apex and base have the heights 0 and 1.
    apex, base = np.flatnonzero(height == 0), np.flatnonzero(height == 1)
    muscle = pv.UnstructuredGrid({pv.CellType.TETRA: tetrahedra}, points_mm)
    muscle["activation_ms"] = activation_ms(points_mm, tetrahedra, fibres[cells], apex)
    muscle["displacement_mm"] = displacement_mm(
        points_mm, tetrahedra, fibres[cells], inner, base, options.pressure_kpa
    )
    muscle.save(options.out)
    farthest = np.linalg.norm(muscle["displacement_mm"], axis=1).max()
    print(f"all activated after {muscle['activation_ms'].max():.0f} ms; moved by {farthest:.2f} mm")


if __name__ == "__main__":
    main()
