"""Doing one job for many hearts, by processes of this machine or a Dask cluster."""
