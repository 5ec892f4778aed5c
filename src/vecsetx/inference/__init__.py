"""Apply a trained model to a heart: encode, complete, recycle, refine, mesh."""
