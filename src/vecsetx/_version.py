"""The version, which every file that VecSetX writes records."""

__version__ = "0.1.0"
