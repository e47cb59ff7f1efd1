"""Windows: PE files, the loader as CPython calls it, and what the system and Python promise."""

from relocator.backends.windows.constants import constants
from relocator.backends.windows.load import load
from relocator.backends.windows.promises import promises
from relocator.backends.windows.read import read, recognises
from relocator.model import Format

FORMAT = Format.PE

__all__ = ["FORMAT", "constants", "load", "promises", "read", "recognises"]
