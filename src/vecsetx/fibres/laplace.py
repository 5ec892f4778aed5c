"""Laplace's equation on tetrahedra, with linear elements."""

from collections.abc import Sequence

import numpy as np
import pyamg
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array, csr_matrix
from scipy.spatial import KDTree
from skfem import Basis, BilinearForm, ElementTetP1, MeshTet
from skfem.helpers import dot, grad

__all__ = ["LaplaceProblem", "System"]

_TOLERANCE = 1e-8
"""Residual at which the conjugate gradients stop, as a share of the first."""

_MOST_STEPS = 500

_SMALLEST_WEIGHT = 1e-3
"""Of the mean weight; where the first solution hardly changes, the second has to be one, too."""

_LAYERS = 3
"""Layers of tetrahedra around a boundary whose gradients are left out, as it is uneven."""


@BilinearForm
def _conducted(u, v, w):  # type: ignore[no-untyped-def]
    return w["weight"] * dot(grad(u), grad(v))


class LaplaceProblem:
    """Laplace's equation on some tetrahedra, for several boundary conditions.

    Attributes:
        mesh: The tetrahedra, as scikit-fem has them.
    """

    def __init__(
        self, points_mm: Float[np.ndarray, "v 3"], tetrahedra: Int[np.ndarray, "t 4"]
    ) -> None:
        """Set up linear elements.

        Args:
            points_mm: Vertices, each of a tetrahedron.
            tetrahedra: Their corners.
        """
        self.mesh = MeshTet(
            np.ascontiguousarray(points_mm.T), np.ascontiguousarray(tetrahedra.T, dtype=np.int64)
        )
        self._basis = Basis(self.mesh, ElementTetP1(), intorder=1)
        self._matrix = self._assembled(np.ones(len(tetrahedra)))

    def system(
        self, fixed: Bool[np.ndarray, " v"], weight: Float[np.ndarray, " t"] | None = None
    ) -> "System":
        """Return the equations for solutions that are given at some vertices.

        Args:
            fixed: Where solutions are given.
            weight: Conductivity of each tetrahedron, at least a thousandth of the mean; None for
                the same everywhere.
        """
        if weight is None:
            return System(self._matrix, fixed)
        return System(self._assembled(np.maximum(weight, _SMALLEST_WEIGHT * weight.mean())), fixed)

    def solve(
        self, conditions: Sequence[tuple[Int[np.ndarray, " n"], float]]
    ) -> Float[np.ndarray, " v"]:
        """Return the solution with these values at these vertices.

        Args:
            conditions: Vertices and their value; the first that names a vertex counts.

        Raises:
            ArithmeticError: The iteration did not converge.
        """
        return self._solved(conditions, None)

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
        return self._solved(conditions, self.steepness(self.solve(conditions)))

    def directions(
        self, solution: Float[np.ndarray, " v"], without: Int[np.ndarray, " n"] | None = None
    ) -> Float[np.ndarray, "t 3"]:
        """Return the gradient in each tetrahedron, smoothed by those of its neighbours, per mm.

        Gradients of linear elements jump from one to the next; means around vertices are closer to
        the true ones (Zienkiewicz and Zhu, Int J Numer Methods Eng 1992).

        Args:
            solution: A solution.
            without: Vertices of an uneven boundary. Gradients close to them are replaced by the
                nearest ones farther inside.
        """
        counts = None if without is None else self._away_from(without)
        return self.at_vertices(solution, counts)[self.mesh.t].mean(axis=0)

    def at_vertices(
        self, solution: Float[np.ndarray, " v"], counts: Bool[np.ndarray, " t"] | None = None
    ) -> Float[np.ndarray, "v 3"]:
        """Return the mean gradient around each vertex, per mm.

        Args:
            solution: A solution.
            counts: Tetrahedra that count; None for all. A vertex without one gets what the nearest
                other has.
        """
        volumes_mm3, corners = self._basis.dx[:, 0], self.mesh.t.ravel()
        if counts is not None:
            volumes_mm3 = volumes_mm3 * counts
        shared = volumes_mm3[:, None] * self._gradients(solution)
        sums = [np.bincount(corners, np.tile(axis, 4), self.mesh.nvertices) for axis in shared.T]
        around_mm3 = np.bincount(corners, np.tile(volumes_mm3, 4), self.mesh.nvertices)
        known = around_mm3 > 0
        found = np.stack(sums, axis=1) / np.where(known, around_mm3, 1)[:, None]
        if not known.all():
            points_mm = self.mesh.p.T
            nearest = KDTree(points_mm[known]).query(points_mm[~known])[1]
            found[~known] = found[known][nearest]
        return found

    def steepness(self, solution: Float[np.ndarray, " v"]) -> Float[np.ndarray, " t"]:
        """Return the length of the gradient in each tetrahedron, per mm."""
        return np.linalg.norm(self._gradients(solution), axis=1)

    def _gradients(self, solution: Float[np.ndarray, " v"]) -> Float[np.ndarray, "t 3"]:
        return self._basis.interpolate(solution).grad[:, :, 0].T

    def _away_from(self, vertices: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " t"]:
        """Return which tetrahedra are not close to some vertices; all, if none are."""
        near = np.zeros(self.mesh.nvertices, dtype=bool)
        near[vertices] = True
        for _ in range(_LAYERS):
            touched = near[self.mesh.t].any(axis=0)
            near[self.mesh.t[:, touched]] = True
        return np.ones_like(touched) if touched.all() else ~touched

    def _solved(
        self,
        conditions: Sequence[tuple[Int[np.ndarray, " n"], float]],
        weight: Float[np.ndarray, " t"] | None,
    ) -> Float[np.ndarray, " v"]:
        values = np.full(self.mesh.nvertices, np.nan)
        for vertices, value in reversed(list(conditions)):
            values[vertices] = value
        return self.system(~np.isnan(values), weight).solve(np.nan_to_num(values))

    def _assembled(self, weight: Float[np.ndarray, " t"]) -> csr_array:
        return csr_array(_conducted.assemble(self._basis, weight=weight[:, None]))


class System:
    """Equations for solutions that are given at the same vertices: they share a preconditioner."""

    def __init__(self, matrix: csr_array, fixed: Bool[np.ndarray, " v"]) -> None:
        """Set up the preconditioner.

        Args:
            matrix: Conductances between vertices.
            fixed: Where solutions are given.
        """
        self._free = np.flatnonzero(~fixed)
        self._rows = matrix[self._free]
        self._solver = pyamg.ruge_stuben_solver(
            csr_matrix(self._rows[:, self._free]), max_coarse=500
        )

    def solve(
        self, start: Float[np.ndarray, " v"], flux: Float[np.ndarray, " v"] | None = None
    ) -> Float[np.ndarray, " v"]:
        """Return the solution.

        Args:
            start: Its values where they are given, and what the iteration begins with elsewhere.
            flux: What flows in at each vertex; None for nothing.

        Raises:
            ArithmeticError: The iteration did not converge.
        """
        found = start.copy()
        found[self._free] = 0
        right = -(self._rows @ found)
        if flux is not None:
            right += flux[self._free]
        residuals: list[float] = []
        found[self._free] = self._solver.solve(
            right,
            x0=start[self._free],
            tol=_TOLERANCE,
            maxiter=_MOST_STEPS,
            accel="cg",
            residuals=residuals,
        )
        bound = 10 * _TOLERANCE * max(np.linalg.norm(right), np.finfo(float).tiny)
        if not residuals[-1] <= bound:
            raise ArithmeticError(
                f"conjugate gradients left {residuals[-1] / residuals[0]:.1e} of the residual"
            )
        return found
