"""Code as its author has it becomes a folder that workers see."""
