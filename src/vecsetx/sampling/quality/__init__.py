"""Whether prepared hearts are fit to learn from: one by one, and beside the others."""
