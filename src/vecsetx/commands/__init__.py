"""The commands as functions: what each reads, does, writes and prints."""
