"""NRRD and MetaImage files."""
