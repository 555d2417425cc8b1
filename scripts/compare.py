"""The verdict over finished runs: python scripts/compare.py --space NAME. The same as the command archab-compare."""

import sys

from archab.cli.compare import main

if __name__ == "__main__":
    sys.exit(main())
