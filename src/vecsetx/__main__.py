"""Runs the command line: ``python -m vecsetx`` and ``torchrun -m vecsetx``."""

from vecsetx.cli import main

if __name__ == "__main__":
    main()
