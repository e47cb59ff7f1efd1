"""Programs in `scripts` that need libraries of the wheel: how to get from there to site-packages differs between installations.

They are moved among the modules, and a script in their place starts them there.
"""

from relocator.model import Binary
from relocator.repairs import AddFile

_SHIM = """\
#!python
import os
import sys
import sysconfig

folders = [sysconfig.get_path("platlib"), sysconfig.get_path("purelib"), *sys.path]
paths = [os.path.join(folder, {folder!r}, {name!r}) for folder in folders if folder]
program = next((path for path in paths if os.path.isfile(path)), None)
if program is None:
    sys.exit({name!r} + ": the program is missing; looked for " + ", ".join(dict.fromkeys(paths)))
os.execv(program, [program, *sys.argv[1:]])
"""


def is_script(binary: Binary) -> bool:
    """Tell whether installers put a file among the scripts."""
    parts = binary.member.split("/")
    return len(parts) == 3 and parts[0].endswith(".data") and parts[1] == "scripts"


def shim(binary: Binary, member: str) -> AddFile:
    """Return the script that takes the place of a program and starts it as `member`, which lies among the modules."""
    folder, _, name = member.rpartition("/")
    text = _SHIM.format(folder=folder, name=name)
    return AddFile(binary.member, text.encode(), f"starts {member}, which lies where its search path can lead to the libraries", 0o755)
