"""The commands as functions, which read, compute, write and print."""
