"""Attacks on the command line: hostile files, mad options, stops, and places that refuse."""
