"""`python -m relocator` is `relocate`."""

import sys

from relocator.cli import main

if __name__ == "__main__":
    sys.exit(main())
