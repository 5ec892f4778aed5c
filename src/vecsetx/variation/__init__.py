"""Variants of hearts for training: moved, cut otherwise, and as poorer segmentations show them."""
