"""Takes debugging information and local symbols out of a binary, by a tool that knows its format."""

import os
import shutil
import subprocess
import tempfile

from relocator.apply import NotWritten, reason
from relocator.model import Format

AUTO = "auto"
TIMEOUT = 600
"""Seconds after which a tool counts as stuck."""

_FLAGS = {Format.ELF: "--strip-all", Format.MACHO: "-x", Format.PE: "--strip-all"}
"""What each kind of file loses and still loads: of a Mach-O file the local symbols alone, since dyld reads the others."""

_INSTALL = "install LLVM's llvm-strip, which knows every format, name a tool with --strip=TOOL, or leave --strip out"


def tool_for(binary_format: Format, wanted: str = AUTO) -> str:
    """Return the path of the tool to strip with; raise NotWritten when there is none.

    Of `auto`, llvm-strip comes first, since it knows all formats and machines; a plain `strip` knows those of its own system.
    """
    names = ("llvm-strip", "strip") if wanted == AUTO else (wanted,)
    for name in names:
        if found := shutil.which(name):
            return found
    told = " or ".join(names)
    raise NotWritten(f"there is no {told} to strip {binary_format} files with", _INSTALL)


def stripped(data: bytes | bytearray | memoryview, binary_format: Format, member: str, wanted: str = AUTO) -> bytes:
    """Return the file without what no loader needs; raise NotWritten when the tool is absent, fails, or does not know the format."""
    tool = tool_for(binary_format, wanted)
    try:
        with tempfile.TemporaryDirectory(prefix="relocate-strip-") as folder:
            return _by_tool(tool, data, binary_format, member, folder)
    except OSError as error:
        hint = "free some space, or let TMPDIR name a folder in which you may make files"
        raise NotWritten(f"no file can be made to strip {member} in: {reason(error)}", hint) from error


def _by_tool(tool: str, data: bytes | bytearray | memoryview, binary_format: Format, member: str, folder: str) -> bytes:
    source, target = os.path.join(folder, "in"), os.path.join(folder, "out")
    with open(source, "wb") as file:
        file.write(data)
    done = _run([tool, _FLAGS[binary_format], "-o", target, source], member)
    if done.returncode or not os.path.isfile(target):
        lines = (done.stderr or done.stdout).decode("utf-8", "replace").replace(source, member).strip().splitlines()
        raise NotWritten(f"{os.path.basename(tool)} cannot strip {member}: {lines[0] if lines else 'it gives no reason'}", _INSTALL)
    with open(target, "rb") as file:
        return file.read()


def _run(command: list[str], member: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotWritten(f"{command[0]} did not end within {TIMEOUT} seconds on {member}", _INSTALL) from error
    except OSError as error:
        raise NotWritten(f"cannot run {command[0]}: {error.strerror}", _INSTALL) from error
