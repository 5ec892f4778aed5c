"""Data sets: sources of hearts, splits, and batches of points for training."""
