"""Readers and writers of the files that hearts come in."""
