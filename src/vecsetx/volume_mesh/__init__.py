"""Tetrahedral meshes of hearts, for solvers: one conforming mesh of all structures."""
