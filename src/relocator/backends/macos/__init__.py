"""macOS: Mach-O files, dyld, and what the system promises."""

from relocator.backends.macos.constants import constants
from relocator.backends.macos.load import load
from relocator.backends.macos.promises import promises
from relocator.backends.macos.read import read, recognises
from relocator.model import Format

FORMAT = Format.MACHO

__all__ = ["FORMAT", "constants", "load", "promises", "read", "recognises"]
