"""Laplace's equation on tetrahedra, with linear elements."""

from collections.abc import Sequence

import numpy as np
import pyamg
from jaxtyping import Float, Int
from scipy.sparse import csr_array, csr_matrix
from skfem import Basis, BilinearForm, ElementTetP1, MeshTet
from skfem.helpers import dot, grad

__all__ = ["LaplaceProblem"]

_TOLERANCE = 1e-8
"""Residual at which the conjugate gradients stop, as a share of the first."""

_MOST_STEPS = 500

_SMALLEST_WEIGHT = 1e-3
"""Of the mean weight; where the first solution hardly changes, the second has to be one, too."""


@BilinearForm
def _conducted(u, v, w):  # type: ignore[no-untyped-def]
    return w["weight"] * dot(grad(u), grad(v))


class LaplaceProblem:
    """Laplace's equation on some tetrahedra, for several boundary conditions.

    No flux leaves through boundaries without a condition.
    """

    def __init__(
        self, points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]
    ) -> None:
        """Set up linear elements.

        Args:
            points_mm: Vertices, each of a tetrahedron.
            tetrahedra: Their corners.
        """
        mesh = MeshTet(
            np.ascontiguousarray(points_mm.T), np.ascontiguousarray(tetrahedra.T, dtype=np.int64)
        )
        self._basis = Basis(mesh, ElementTetP1(), intorder=1)
        self._matrix = self._assembled(np.ones(len(tetrahedra)))

    def solve(
        self, conditions: Sequence[tuple[Int[np.ndarray, " n"], float]]
    ) -> Float[np.ndarray, " v"]:
        """Return the solution with these values at these vertices.

        Args:
            conditions: Vertices and their value; the first that names a vertex counts.

        Raises:
            ArithmeticError: The iteration did not converge.
        """
        return _solutions(self._matrix, [_known(conditions, self._matrix)])[0]

    def solve_evenly(
        self, conditions: Sequence[tuple[Int[np.ndarray, " n"], float]]
    ) -> Float[np.ndarray, " v"]:
        """Return a solution that changes evenly from one boundary to the other.

        Between a sphere and a larger one, Laplace's solution changes faster at the smaller one,
        since the same flux passes a smaller area there. With the gradient's length as conductivity,
        it is linear in the distance: exactly between spheres and around cylinders.

        Args:
            conditions: As for :meth:`solve`.

        Raises:
            ArithmeticError: The iteration did not converge.
        """
        matrix = self._weighted(self.steepness(self.solve(conditions)))
        return _solutions(matrix, [_known(conditions, matrix)])[0]

    def shares(
        self,
        surfaces: Sequence[Int[np.ndarray, " n"]],
        weight: Float[np.ndarray, " t"] | None = None,
    ) -> list[Float[np.ndarray, " v"]]:
        """Return for each surface a solution that is 1 there and 0 at the others; their sum is 1.

        Args:
            surfaces: Vertices; the first surface that has a vertex counts.
            weight: Conductivity of each tetrahedron; None for the same everywhere.

        Raises:
            ArithmeticError: The iteration did not converge.
        """
        matrix = self._matrix if weight is None else self._weighted(weight)
        values = [
            _known([(vertices, float(k == one)) for k, vertices in enumerate(surfaces)], matrix)
            for one in range(len(surfaces) - 1)
        ]
        found = _solutions(matrix, values)
        return [*found, 1 - np.sum(found, axis=0)]

    def directions(self, solution: Float[np.ndarray, " v"]) -> Float[np.ndarray, "t 3"]:
        """Return the gradient in each tetrahedron, smoothed by those of its neighbours, per mm.

        Gradients of linear elements jump from one to the next; means around vertices are closer to
        the true ones (Zienkiewicz and Zhu, Int J Numer Methods Eng 1992).
        """
        mesh, volumes_mm3 = self._basis.mesh, self._basis.dx[:, 0]
        shared = volumes_mm3[:, None] * self._gradients(solution)
        corners = mesh.t.ravel()
        sums = [np.bincount(corners, np.tile(axis, 4), mesh.nvertices) for axis in shared.T]
        around_mm3 = np.bincount(corners, np.tile(volumes_mm3, 4), mesh.nvertices)
        at_vertices = np.stack(sums, axis=1) / around_mm3[:, None]
        return at_vertices[mesh.t].mean(axis=0)

    def steepness(self, solution: Float[np.ndarray, " v"]) -> Float[np.ndarray, " t"]:
        """Return the length of the gradient in each tetrahedron, per mm."""
        return np.linalg.norm(self._gradients(solution), axis=1)

    def _gradients(self, solution: Float[np.ndarray, " v"]) -> Float[np.ndarray, "t 3"]:
        return self._basis.interpolate(solution).grad[:, :, 0].T

    def _weighted(self, weight: Float[np.ndarray, " t"]) -> csr_array:
        least = _SMALLEST_WEIGHT * weight.mean()
        return self._assembled(np.maximum(weight, least))

    def _assembled(self, weight: Float[np.ndarray, " t"]) -> csr_array:
        return csr_array(_conducted.assemble(self._basis, weight=weight[:, None]))


def _known(
    conditions: Sequence[tuple[Int[np.ndarray, " n"], float]], matrix: csr_array
) -> Float[np.ndarray, " v"]:
    """Return the values that conditions give to vertices; NaN where they give none."""
    known = np.full(matrix.shape[0], np.nan)
    for vertices, value in reversed(list(conditions)):
        known[vertices] = value
    return known


def _solutions(
    matrix: csr_array, known: Sequence[Float[np.ndarray, " v"]]
) -> list[Float[np.ndarray, " v"]]:
    """Solve for several values at the same vertices, which need one preconditioner."""
    free = np.flatnonzero(np.isnan(known[0]))
    rows = matrix[free]
    solver = pyamg.ruge_stuben_solver(csr_matrix(rows[:, free]), max_coarse=500)
    found = []
    for values in known:
        whole = np.nan_to_num(values)
        residuals: list[float] = []
        whole[free] = solver.solve(
            -(rows @ whole), tol=_TOLERANCE, maxiter=_MOST_STEPS, accel="cg", residuals=residuals
        )
        if not residuals[-1] <= 10 * _TOLERANCE * max(residuals[0], np.finfo(float).tiny):
            raise ArithmeticError(
                f"conjugate gradients left {residuals[-1] / residuals[0]:.1e} of the residual"
            )
        found.append(whole)
    return found
