"""The NPZ layout of VecSetX, for those who come from there or go there."""
