"""Programs in `scripts` that need libraries of the wheel: how to get from there to site-packages differs between installations.

They are moved among the modules, and a script in their place starts them there.
"""

from collections.abc import Iterator

from relocator.model import Binary, ContainerFacts
from relocator.repairs import Action, AddFile, SetMode

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


def shim(binary: Binary, member: str, facts: ContainerFacts) -> Iterator[Action]:
    """Yield the script that takes the place of a program and starts it as `member`, which lies among the modules.

    Installers make scripts executable whatever their mode, and leave modules as they are.
    """
    folder, _, name = member.rpartition("/")
    text = _SHIM.format(folder=folder, name=name)
    yield AddFile(binary.member, text.encode(), f"starts {member}, which lies where its search path can lead to the libraries", 0o755)
    if not any(one.name == binary.member and one.mode & 0o111 for one in facts.members):
        yield SetMode(member, 0o755, "is a program, which installers made executable where it lay")
