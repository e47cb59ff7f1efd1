"""The LLVM tools that build the fixtures, whichever version is installed, and the manifest row of what they built."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

VERSIONS = ("-22", "-21", "-20", "-19", "")


def tool(name: str) -> str:
    """Return the newest installed name of a tool: "clang-22"."""
    for version in VERSIONS:
        if shutil.which(name + version):
            return name + version
    raise SystemExit(f"{name} is not installed: apt-get install clang lld llvm")


def run(*command: str, cwd: Path) -> None:
    """Run a tool; end with what it printed when it fails."""
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def manifest_row(out: Path, path: str, facts: tuple[str, str, str, str]) -> dict[str, Any]:
    """Return a manifest row; `facts` are sources, compiler, flags and what the file shows."""
    source, compiler, flags, shows = facts
    digest = hashlib.sha256((out / path).read_bytes()).hexdigest()
    return {"path": path, "source": source, "compiler": compiler, "flags": flags, "sha256": digest, "shows": shows}
