"""Coordinates and fibres of hearts, from Laplace equations on their meshes."""
