"""The commands, as functions: each ties the stages together for one purpose."""
