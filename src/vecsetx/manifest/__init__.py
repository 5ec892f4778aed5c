"""``manifest.json``: how the files of an output folder came about, run by run (docs/outputs.md)."""
