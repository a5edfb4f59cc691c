"""The table that calls find their function in, and how paths, names and hosts lead there."""
