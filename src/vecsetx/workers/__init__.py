"""Parallel work on many hearts: processes on this machine, or a Dask cluster."""
