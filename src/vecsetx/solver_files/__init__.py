"""Tetrahedral meshes as files that solvers and viewers read."""
