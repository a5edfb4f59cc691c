"""What runs in the function's interpreter: Python 3.9, standard library only."""
