"""Which wheels make a set, for which platform and Python: what the user says, or what the tags of all of them have in common."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from relocator.containers.wheel import WheelName, parse_wheel_name
from relocator.errors import UsageError
from relocator.metadata import normalised
from relocator.model import Interpreter
from relocator.platform_tags import WINDOWS, Platform, parse, parse_target

_PYTHON = re.compile(r"(?:cp)?3[._]?(\d{1,2})(t?)")
_CPYTHON = re.compile(r"cp3(\d{1,2})")


class Candidate(NamedTuple):
    """A wheel that may be taken into the set."""

    path: str
    name: WheelName

    @property
    def project(self) -> str:
        """Return the distribution's normalised name."""
        return normalised(self.name.name)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """Return what the platform tags say."""
        return tuple(parse(name) for name in dict.fromkeys(tag.split("-")[2] for tag in self.name.tags))

    @property
    def pure(self) -> bool:
        """Tell whether it is made for any platform."""
        return any(platform.os == "any" for platform in self.platforms)


class Chosen(NamedTuple):
    """A set of wheels that fit one another."""

    paths: tuple[str, ...]
    tag: str
    """The whole tag by which all are judged: "cp312-cp312-manylinux_2_28_x86_64"."""
    interpreter: Interpreter


class _Goal(NamedTuple):
    """The platform and Python of the set, each empty when it is not known."""

    platforms: tuple[Platform, ...]
    python: tuple[int, str] | None
    """Minor version and flags: (13, "t")."""


def candidates_of(paths: Iterable[str]) -> list[Candidate]:
    """Return the wheels by their names; raise UsageError for a name that is none of a wheel."""
    found = []
    for path in paths:
        file = path.replace("\\", "/").rpartition("/")[2]
        name = parse_wheel_name(file)
        if name is None:
            raise UsageError(f"{file!r} is not the name of a wheel", "wheels are called NAME-VERSION-PYTHON-ABI-PLATFORM.whl")
        found.append(Candidate(path, name))
    return found


def choose(candidates: Sequence[Candidate], target: str = "", python: str = "") -> Chosen:
    """Return one wheel of each project, for the platform tag and the Python given ("3.12", "3.13t") or those that the tags share.

    Raises UsageError when the wheels fit no common platform or Python, or when two of one project do.
    """
    if not candidates:
        raise UsageError("there is no wheel to look at", "name wheels, or with `--wheels` a folder that has some")
    given = _Goal(tuple(map(parse_target, target.split("."))) if target else (), _python(python) if python else None)
    on_platform = [wheel for wheel in candidates if _fits_platform(wheel, given.platforms)]
    goal = given._replace(python=given.python or _common_python(on_platform))
    wheels = [_best(project, group, goal, named=bool(target)) for project, group in _by_project(candidates)]
    platforms = given.platforms or _common_platforms(wheels)
    words = _python_words(goal.python)
    tag = f"{words[0]}-{words[1]}-{'.'.join(platform.tag for platform in platforms) or 'any'}"
    version = (3, goal.python[0]) if goal.python else ()
    return Chosen(tuple(wheel.path for wheel in wheels), tag, Interpreter(version=version, flags=goal.python[1] if goal.python else ""))


def _by_project(candidates: Sequence[Candidate]) -> Iterator[tuple[str, list[Candidate]]]:
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.project, []).append(candidate)
    yield from groups.items()


def _best(project: str, group: Sequence[Candidate], goal: _Goal, *, named: bool) -> Candidate:
    """Return the wheel of a project that an installer would take."""
    fitting = [wheel for wheel in group if _fits_python(wheel, goal.python) and _fits_platform(wheel, goal.platforms)]
    if not fitting:
        wanted = " and ".join(filter(None, (".".join(p.tag for p in goal.platforms), "".join(_python_words(goal.python)[:1]))))
        raise UsageError(
            f"no wheel of {project} fits {wanted or 'the others'}: {', '.join(_file(wheel.path) for wheel in group)}",
            "name wheels for one platform and Python, or choose with `--target TAG` and `--python X.Y`",
        )
    rank = {wheel: (_version(wheel.name.version), not wheel.pure, _floor(wheel)) for wheel in fitting}
    best = max(fitting, key=lambda wheel: rank[wheel])
    rivals = {platform_key(p) for wheel in fitting if rank[wheel][0] == rank[best][0] and not wheel.pure for p in wheel.platforms}
    if not named and len(rivals) > 1 and len(fitting) > 1:
        raise UsageError(
            f"{project} has wheels for several platforms: {', '.join(_file(wheel.path) for wheel in fitting)}",
            "`--target TAG` chooses one, such as `--target manylinux_2_28_x86_64`",
        )
    return best


def _file(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _version(text: str) -> object:
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  only for sets

    try:
        return Version(text.replace("_", "-"))
    except InvalidVersion:
        return Version("0")


# ---- platforms


def platform_key(platform: Platform) -> tuple[str, str, tuple[str, ...]]:
    """Return what a platform is, its version apart."""
    return platform.os, platform.libc, platform.arches


def _fits_platform(wheel: Candidate, wanted: Sequence[Platform]) -> bool:
    return not wanted or wheel.pure or any(_covers(own, goal) for own in wheel.platforms for goal in wanted)


def _covers(own: Platform, goal: Platform) -> bool:
    """Tell whether a wheel for one platform is installed on another: its architectures, and a system not older than it asks for."""
    same = own.os == goal.os and (own.libc == goal.libc or not own.libc or not goal.libc)
    return same and set(goal.arches) <= set(own.arches) and (goal.local or own.version <= goal.version)


def _floor(wheel: Candidate) -> tuple[int, ...]:
    return max((platform.version for platform in wheel.platforms), default=())


def _common_platforms(wheels: Sequence[Candidate]) -> tuple[Platform, ...]:
    """Return the platforms on which all wheels work: for each architecture that they share, the newest level that one of them asks for."""
    compiled = [wheel for wheel in wheels if not wheel.pure]
    if not compiled:
        return ()
    shared = None
    for wheel in compiled:
        own = {(p.os, p.libc, arch) for p in wheel.platforms for arch in p.arches}
        shared = own if shared is None else {key for key in shared if any(_same(key, other) for other in own)}
    if not shared:
        told = ", ".join(f"{wheel.project} for {'.'.join(p.tag for p in wheel.platforms)}" for wheel in compiled)
        raise UsageError(f"these wheels fit no common platform: {told}", "`--target TAG` chooses among several wheels of one project")
    return tuple(_platform(key, max(_asked(wheel, key) for wheel in compiled)) for key in sorted(shared, key=lambda k: (not k[1], k)))


def _same(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    return one[0] == other[0] and one[2] == other[2] and (one[1] == other[1] or not one[1] or not other[1])


def _asked(wheel: Candidate, key: tuple[str, str, str]) -> tuple[int, ...]:
    """Return the oldest level on which a wheel works."""
    fitting = (p for p in wheel.platforms for arch in p.arches if _same((p.os, p.libc, arch), key))
    return min((platform.version for platform in fitting), default=())


def _platform(key: tuple[str, str, str], version: tuple[int, ...]) -> Platform:
    system, libc, arch = key
    level = "_".join(map(str, version))
    names = {"glibc": f"manylinux_{level}_{arch}", "musl": f"musllinux_{level}_{arch}", "macos": f"macosx_{level}_{arch}"}
    if system == "windows":
        return parse(next(tag for tag, name in WINDOWS.items() if name == arch))
    return parse(names.get(libc or system, f"linux_{arch}")) if level else parse(f"linux_{arch}")


# ---- Pythons


def _python(text: str) -> tuple[int, str]:
    found = _PYTHON.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a version of Python", "write it as 3.12, or 3.13t for a free-threaded build")
    return int(found[1]), found[2]


def _python_words(python: tuple[int, str] | None) -> tuple[str, str]:
    return (f"cp3{python[0]}", f"cp3{python[0]}{python[1]}") if python else ("py3", "none")


def _common_python(candidates: Sequence[Candidate]) -> tuple[int, str] | None:
    """Return the newest Python for which every project has a wheel; None when any will do."""
    groups = [group for _, group in _by_project(candidates)]
    named = {int(found[1]) for c in candidates for tag in c.name.tags if (found := _CPYTHON.match(tag))}
    if not named:
        return None
    pythons = [(minor, flags) for minor in sorted(named, reverse=True) for flags in ("", "t") if not flags or minor >= 13]
    for python in pythons:
        if all(any(_fits_python(wheel, python) for wheel in group) for group in groups):
            return python
    told = ", ".join(
        f"{group[0].project} for {'.'.join(sorted({tag.partition('-')[0] for c in group for tag in c.name.tags}))}" for group in groups
    )
    raise UsageError(f"these wheels fit no common Python: {told}", "name wheels for one version of Python")


def _fits_python(wheel: Candidate, python: tuple[int, str] | None) -> bool:
    """Tell whether a Python of this version installs the wheel (packaging.tags)."""
    if python is None:
        return True
    accepted = _accepted(python)
    return any(tuple(tag.split("-")[:2]) in accepted for tag in wheel.name.tags)


def _accepted(python: tuple[int, str]) -> set[tuple[str, str]]:
    from packaging.tags import compatible_tags, cpython_tags  # noqa: PLC0415  only for sets

    version, abi = (3, python[0]), f"cp3{python[0]}{python[1]}"
    tags = [*cpython_tags(version, [abi], ["any"]), *compatible_tags(version, f"cp3{python[0]}", ["any"])]
    return {(tag.interpreter, tag.abi) for tag in tags}
