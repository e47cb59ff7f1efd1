"""Systems that refuse: a process without rights, files that may not grow, a disk that is full."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX alone")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
MAY_MOUNT = pytest.mark.skipif(not ROOT or not sys.platform.startswith("linux"), reason="only root may mount a small disk")


def unprivileged(check: Callable[[], str]) -> str:
    """Return what the check returns in a process that is not root."""
    if not ROOT:
        return check()
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(send, check().encode())
        finally:
            os._exit(0)
    os.close(send)
    os.waitpid(child, 0)
    with os.fdopen(receive, "rb") as pipe:
        return pipe.read().decode()


def reachable(folder: Path) -> Path:
    """Let a process without rights reach a folder."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_mode & 0o005 != 0o005 and parent.owner() == Path.home().owner():
            parent.chmod(parent.stat().st_mode | 0o055)
    return folder


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[None]:
    """Let a disk of that size lie at a folder."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)
