"""Linux and Android: ELF files, their three loaders, and what the systems promise."""

from relocator.backends.linux.constants import constants
from relocator.backends.linux.load import load
from relocator.backends.linux.promises import promises
from relocator.backends.linux.read import read, recognises
from relocator.model import Format

FORMAT = Format.ELF

__all__ = ["FORMAT", "constants", "load", "promises", "read", "recognises"]
