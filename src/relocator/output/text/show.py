"""A package's profile as text: the tag that its binaries allow and why no better one, then what they need, grouped and counted."""

from collections.abc import Iterable, Sequence

from relocator.demands import MET, version_key
from relocator.facts import Profile
from relocator.findings import Failure
from relocator.model import PYTHON_OWNER, Binary, How, Image, NeedKind, Resolution
from relocator.paint import API_SETS, View, counted, printable, short_path, short_text, shortened
from relocator.particulars import particulars
from relocator.platform_tags import columns
from relocator.tags import Blocker

FEW = 3
"""Up to so many binaries are told one by one; more are grouped."""

LINES = 6

_MEETS = {
    How.MISSING: "that nothing meets",
    How.OUTSIDE: "met only by what lies outside",
    How.UNDECIDED: "not judged, for want of a target",
    How.BUNDLED: "met in this package",
    How.PROVIDED: "met by another package that is here",
    How.EXPECTED: "left to a dependency",
    How.PROMISED: "met by the system",
}
"""How a need is met, in the order in which it is told."""


def render_show(profiles: Sequence[Profile], failures: Sequence[Failure], view: View) -> str:
    """Render every profile; what failed is told by `text.failures`."""
    return "\n".join([_profile(profile, view) for profile in profiles])


def _profile(profile: Profile, view: View) -> str:
    lines = [view.style(printable(profile.container.subject), "strong")]
    lines += _tags(profile, view)
    few = len(profile.binaries) <= FEW
    lines += [_inventory(profile), *([] if few else _grouped(profile, view))]
    if view.verbose or few:
        for binary in profile.binaries:
            lines += ["", *_one_by_one(binary, profile, view)]
    for item in profile.unreadable:
        lines.append(f"  unreadable: {printable(item.member)}: {printable(item.field)}: {printable(item.expected)}")
    if profile.inputs:
        lines += ["  files used from outside:", *(f"    {printable(path)}  sha256 {digest}" for path, digest in profile.inputs)]
    return "\n".join(lines) + "\n"


# ---- tags


def _tags(profile: Profile, view: View) -> list[str]:
    facts, computed = profile.container, profile.computed
    lines = [f"  {printable(facts.origin)}"] if facts.origin else []
    if facts.kind == "environment":
        packages = [distribution for distribution in facts.distributions if distribution.name != PYTHON_OWNER]
        lines.append(f"  {counted(len(packages), 'distribution')}, {_with_binaries(profile)} of them with binaries")
    if profile.target.tag:
        own = set(profile.target.tag.split(".")) <= set(columns(facts.tags or facts.declared_tags or ()).platforms)
        word = "tagged" if own else "judged for"
        python = f" ({', '.join(profile.target.pythons)}; ABI {', '.join(profile.target.abis)})" if profile.target.pythons else ""
        lines.append(f"  {word}: {printable(profile.target.tag)}{printable(python)}")
    else:
        lines.append("  no target: a path without a tag; `--target TAG` judges it for one")
    if computed.tags and profile.binaries:
        lines.append(f"  its binaries allow: {view.style(printable('.'.join(computed.tags)), 'good')}")
    for tag in dict.fromkeys(blocker.tag for blocker in computed.blockers):
        reasons = _count_by((_reason(blocker), blocker.member) for blocker in computed.blockers if blocker.tag == tag)
        lines += _labelled(f"what prevents {tag}", reasons, view)
    return lines


def _with_binaries(profile: Profile) -> int:
    owners = {binary.owner for binary in profile.binaries}
    return len({distribution.name for distribution in profile.container.distributions} & owners)


def _reason(blocker: Blocker) -> str:
    origin = f" from {blocker.library}" if blocker.library else ""
    symbol = f"{blocker.symbol}@" if blocker.symbol else ""
    if not blocker.version and blocker.symbol:
        return f"{blocker.symbol}{origin}, which that tag forbids"
    if not blocker.version:
        return f"{blocker.library}, which that tag does not promise"
    if blocker.version == "DT_RELR":
        return "packed relative relocations (DT_RELR)"
    if blocker.version[0].isdecimal():
        return f"made for macOS {blocker.version}"
    return f"{symbol}{blocker.version}{origin}"


# ---- grouped


def _inventory(profile: Profile) -> str:
    binaries = profile.binaries
    if not binaries:
        return "  no binaries" + _others(profile)
    extensions = sum(1 for binary in binaries if binary.extension)
    programs = sum(1 for binary in binaries if binary.images[0].kind == "program")
    kinds = [(extensions, "extension module"), (len(binaries) - extensions - programs, "library"), (programs, "program")]
    told = ", ".join(counted(number, kind) for number, kind in kinds if number)
    return f"  {counted(len(binaries), 'binary')}: {told}{_others(profile)}"


def _others(profile: Profile) -> str:
    return "; not for a loader: " + ", ".join(counted(number, kind) for kind, number in profile.others) if profile.others else ""


def _arches(binary: Binary) -> str:
    return f"{binary.format} " + " + ".join(image.arch for image in binary.images)


def _grouped(profile: Profile, view: View) -> list[str]:
    lines = _labelled("architectures", _count_by((_arches(binary), binary.member) for binary in profile.binaries), view)
    for how, title in _MEETS.items():
        entries = _count_by((_target(edge, profile, view), _importer(edge, profile)) for edge in profile.needs if edge.how == how)
        lines += _labelled(f"needs {title}", entries, view)
    images = [(image, binary.member) for binary in profile.binaries for image in binary.images]
    lines += _labelled("highest symbol versions, by family", _highest_versions(profile), view, whole=True)
    floors = ((f"{_os(image)} {_number(image)} on {image.arch}", member) for image, member in images if image.minimum_os)
    lines += _labelled("made for, at least", _count_by(floors), view)
    paths = ((f"{path.kind} {path.text or '(empty)'}", member) for image, member in images for path in image.search_paths)
    lines += _labelled("search paths", _count_by(paths), view)
    names = [(name, binary.member) for binary in profile.binaries for name in _other_names(binary)]
    return lines + _labelled("libraries that call themselves otherwise than their file", _count_by(names), view)


def _labelled(title: str, entries: Sequence[tuple[str, Sequence[str]]], view: View, *, whole: bool = False) -> list[str]:
    """Return "title:" and a line for each value, with the files that have it: all of them with -v, otherwise one or their number."""
    if not entries:
        return []
    lines = [f"{printable(value)}{_files(members, view)}" for value, members in entries]
    shown = lines if whole or view.verbose else shortened(lines, LINES, "value")
    return [f"  {printable(title)}:", *("    " + line for line in shown)]


def _count_by(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Group (value, file) pairs by value, the commonest first."""
    groups: dict[str, dict[str, None]] = {}
    for value, member in pairs:
        groups.setdefault(value, {})[member] = None
    return sorted(((value, list(members)) for value, members in groups.items()), key=lambda group: (-len(group[1]), group[0]))


def _files(members: Sequence[str], view: View) -> str:
    few = len(members) == 1 or (view.verbose and len(members) <= FEW)
    return f"  ({', '.join(map(printable, members)) if few else counted(len(members), 'file')})"


def _target(edge: Resolution, profile: Profile, view: View) -> str:
    if edge.needed.name.lower().startswith(API_SETS) and not view.verbose:
        return f"API sets ({API_SETS[0]}*)"
    if edge.target and edge.how != How.PROMISED:
        path = short_path(edge.target, profile.container)
        return path if path.rpartition("/")[2] == edge.needed.name.rpartition("/")[2] else f"{path} as {edge.needed.name}"
    return edge.needed.name + (f" ({edge.needed.kind})" if edge.needed.kind in (NeedKind.WEAK, NeedKind.DELAYED) else "")


def _importer(edge: Resolution, profile: Profile) -> str:
    return short_path(edge.importer, profile.container)


def _highest_versions(profile: Profile) -> list[tuple[str, list[str]]]:
    """Return, for each family of symbol versions asked of the system (GLIBC, GLIBCXX, ...), the highest one and the files that need it."""
    met = {(edge.importer, edge.needed.name) for edge in profile.needs if edge.how in MET}
    found: dict[str, dict[str, dict[str, None]]] = {}
    for binary in profile.binaries:
        for need in (need for image in binary.images for need in image.version_needs):
            if not need.weak and (binary.path, need.library) not in met:
                found.setdefault(need.version.partition("_")[0], {}).setdefault(need.version, {})[binary.member] = None
    highest = {family: max(versions, key=version_key) for family, versions in found.items()}
    return [(version, list(found[family][version])) for family, version in sorted(highest.items())]


def _other_names(binary: Binary) -> list[str]:
    """Return the names that a library's images give themselves, where these are not the file's."""
    names = dict.fromkeys(image.identity for image in binary.images if image.identity and not binary.extension)
    return [name for name in names if name.rpartition("/")[2] != binary.member.rpartition("/")[2]]


def _os(image: Image) -> str:
    return {"ELF": "Android API", "Mach-O": "macOS", "PE": "Windows subsystem"}[image.format]


def _number(image: Image) -> str:
    return ".".join(map(str, image.minimum_os))


# ---- one by one


def _one_by_one(binary: Binary, profile: Profile, view: View) -> list[str]:
    what = f"extension module {binary.extension}" if binary.extension else binary.images[0].kind
    lines = [f"  {view.style(printable(binary.member), 'strong')}: {binary.format} {printable(what)}"]
    for image in binary.images:
        lines += _image(image, binary, profile, view)
    return lines


def _image(image: Image, binary: Binary, profile: Profile, view: View) -> list[str]:
    rows = [("architecture", image.arch)]
    if image.identity is not None:
        rows.append(("names itself", image.identity))
    if image.minimum_os:
        rows.append(("made for", f"{_os(image)} {_number(image)} or newer"))
    rows += [(path.kind, path.text or "(empty)") for path in image.search_paths]
    rows += [("symbol versions", text) for text in _versions(image)]
    if view.verbose or profile.container.kind == "file":
        rows += particulars(image)
    answers = {edge.position: edge for edge in profile.needs if edge.importer == binary.path and edge.arch == image.arch}
    lines = [f"    {printable(label):<16} {printable(value)}" for label, value in rows]
    return lines + [_need(position, answers.get(position), image, profile, view) for position in range(len(image.needed))]


def _versions(image: Image) -> list[str]:
    libraries: dict[str, list[str]] = {}
    for need in image.version_needs:
        libraries.setdefault(need.library, []).append(need.version + (" (weak)" if need.weak else ""))
    return [f"{library}: {', '.join(sorted(versions, key=version_key))}" for library, versions in libraries.items()]


def _need(position: int, answer: Resolution | None, image: Image, profile: Profile, view: View) -> str:
    need = image.needed[position]
    kind = "" if need.kind == NeedKind.REQUIRED else f" ({need.kind})"
    line = f"    {'needs':<16} {printable(need.name)}{kind}"
    if answer is None:
        return f"{line}: not looked for, since nothing loads this file on the target"
    how = view.style(_MEETS[answer.how], "error" if answer.how == How.MISSING else "dim")
    via = short_text(answer.via, profile.container)
    if answer.target:
        return f"{line}: {how}, {printable(short_path(answer.target, profile.container))}; {printable(via)}"
    return f"{line}: {how}; {printable(via)}"
