"""Samples as NPZ files, to exchange them with VecSetX's cardiac predecessor."""
