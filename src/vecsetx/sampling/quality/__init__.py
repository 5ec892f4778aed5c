"""Checks whether prepared hearts are fit for training: each alone, and compared with the others."""
