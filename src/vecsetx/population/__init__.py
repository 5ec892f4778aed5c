"""Populations of hearts: corresponding anchors, and the space of shapes that they span."""
