"""`python -m pyfc` is the command `pyfc`."""

import sys

from pyfc.cli import main

if __name__ == "__main__":
    sys.exit(main())
