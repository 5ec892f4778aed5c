"""VecSetX: neural implicit models of the whole human heart."""

__version__ = "0.1.0"
