"""Prepared data sets: which hearts, which split, which points a training step draws."""
