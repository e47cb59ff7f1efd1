"""From a lock file and folders of wheels to the set that would be installed."""

import os
from collections.abc import Iterator, Sequence

from relocator.errors import ContainerError
from relocator.lock_files import Locked, applies, read_lock
from relocator.platform_tags import parse_target
from relocator.wheel_choice import Candidate, candidates_of, choose

_TOLD = 5
_SYSTEMS = {
    "linux": ("linux", "Linux", "posix"),
    "android": ("android", "Android", "posix"),
    "macos": ("darwin", "Darwin", "posix"),
    "ios": ("ios", "iOS", "posix"),
    "windows": ("win32", "Windows", "nt"),
}
_MACHINES = {"amd64": "AMD64", "win32": "x86"}
"""platform.machine() where it is not what tags say."""


def wheels_of(lock: str, folders: Sequence[str], target: str, python: str) -> tuple[str, ...]:
    """Return the paths of the wheels, one for each package that belongs to the target and Python; see `api.wheels_of_lock`."""
    packages = _read(lock)
    present = dict(_present(folders))
    environment = marker_environment(target, python)
    wanted = [package for package in packages if applies(package.marker, environment)]
    found = {package.name: [present[name] for name in package.wheels if name in present] for package in wanted}
    missing = [package for package in wanted if not found[package.name]]
    if missing:
        raise ContainerError(
            f"{lock}: {_several(missing)} no wheel in {', '.join(folders) or 'any folder'}: {', '.join(map(_told, missing[:_TOLD]))}",
            "`pip download --no-deps -d DIR ...` fetches wheels; `--find-links` names the folder, `--target` and `--python` the platform",
        )
    candidates: list[Candidate] = candidates_of(path for paths in found.values() for path in paths)
    return choose(candidates, target, python).paths


def _read(lock: str) -> tuple[Locked, ...]:
    try:
        with open(lock, "rb") as file:
            data = file.read(64 << 20)
    except OSError as error:
        raise ContainerError(f"{lock} cannot be read: {error.strerror}", "`--lock` takes a pylock.toml") from error
    try:
        return read_lock(data)
    except ContainerError as error:
        raise ContainerError(f"{lock} {error.message}", error.hint) from error


def _present(folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise ContainerError(f"{folder} cannot be listed: {error.strerror}", "`--find-links` takes a folder of wheels") from error
        yield from ((name, os.path.join(folder, name)) for name in names if name.endswith(".whl"))


def _several(missing: Sequence[Locked]) -> str:
    return "1 package has" if len(missing) == 1 else f"{len(missing)} packages have"


def _told(package: Locked) -> str:
    wheels = f"none of its {len(package.wheels)} wheels" if package.wheels else "the lock file names none"
    return f"{package.name} {package.version} ({wheels})".replace("  ", " ")


def marker_environment(target: str, python: str) -> dict[str, str]:
    """Return the values of markers for a target and a Python; those of the running one stand in for what is not said."""
    from packaging.markers import default_environment  # noqa: PLC0415  only for lock files

    found = {key: str(value) for key, value in default_environment().items()}
    if target:
        platform = parse_target(target.split(".", maxsplit=1)[0])
        if platform.os in _SYSTEMS:
            found["sys_platform"], found["platform_system"], found["os_name"] = _SYSTEMS[platform.os]
        if platform.arches:
            found["platform_machine"] = _MACHINES.get(platform.arches[0], platform.arches[0])
    if python:
        version = python.removesuffix("t").removeprefix("cp")
        version = version if "." in version else f"{version[:1]}.{version[1:]}"
        found["python_version"], found["python_full_version"], found["implementation_version"] = version, f"{version}.0", f"{version}.0"
    return found
