"""The data folder of a server: which version it is of, how it becomes one of this version, and who has it."""
