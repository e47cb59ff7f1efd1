"""Why a wheel cannot be repaired: each reason with the file and the library to blame, and the next step."""

from collections.abc import Iterator, Sequence

from relocator.model import Resolution, Survey, Tried
from relocator.paint import counted, short_path
from relocator.places import need_place
from relocator.repair.health import unread, unreadable, unsound
from relocator.repairs import Refusal, RepairOptions
from relocator.roles import FORMAT_OF, maps

SYSTEMS = ("linux", "android", "macos", "windows")
"""Operating systems whose wheels can be repaired."""

_MOST_PLACES = 4
_UNFIT = ("other ", "not an ELF file", "not a Mach-O file", "not a PE file", "truncated", "unreadable", "a program")
"""How the outcomes start that loaders give a file that is there and is of no use to them."""


def check_kind(surveys: Sequence[Survey], options: RepairOptions) -> tuple[Refusal, ...]:
    """Return why a container is none that can be repaired; `surveys` are all those that its tags ask for.

    A wheel whose binaries are going to be looked at is let through, whatever else is wrong with it: then all reasons are told at once. Of
    any other one it is said here what is wrong with its archive, also when it would only be copied.
    """
    facts = surveys[0].container
    if facts.kind != "wheel":
        return (Refusal(f"is no wheel but a {facts.kind}", "name a wheel; `relocate edit` rewrites single files"),)
    names = [survey.target.tag for survey in surveys]
    if len(surveys) > 1:
        hint = "build one wheel for each system, or say with --plat which one it is for"
        return (Refusal(f"its tags name several systems: {', '.join(names)}", hint), *unsound(surveys[0]))
    survey = surveys[0]
    if survey.target.os in SYSTEMS and any(maps(survey.target, binary) for binary in survey.binaries if binary.owner):
        return ()
    faults = (*unsound(survey), *unread(survey))
    return tuple(dict.fromkeys((*faults, *_without_use(survey, options, not faults))))


def _without_use(survey: Survey, options: RepairOptions, sound: bool) -> Iterator[Refusal]:
    target = survey.target
    own = [binary for binary in survey.binaries if binary.owner]
    if not own and not survey.unreadable:
        if sound and not options.allow_pure:
            yield Refusal(
                "holds no compiled file: there is nothing to repair",
                "publish it as it is, or let it be copied with --allow-pure-python-wheel",
            )
    elif target.os not in SYSTEMS:
        faults = {"": "is not known", "any": "promises every system, and it holds compiled files"}
        fault = faults.get(target.os, "is for a system whose wheels cannot be repaired")
        yield Refusal(
            f"its tag {target.tag} {fault}" if target.tag else "it has no tag that says for which system it is",
            "say with --plat which platform it is for; Linux, Android, macOS and Windows can be repaired",
        )
    elif survey.unreadable and not options.allow_pure:
        yield from map(unreadable, survey.unreadable)
    elif not options.allow_pure:
        wanted = FORMAT_OF[target.os]
        kinds = sorted({f"{binary.format} for {binary.images[0].arch}" for binary in own})
        message = f"none of its {counted(len(own), 'binary')} is {wanted} for {' or '.join(target.arches)}: they are {', '.join(kinds)}"
        yield Refusal(message, "give the wheel the tag of the system that it is for, or let it be copied with --allow-pure-python-wheel")


def missing(survey: Survey, resolution: Resolution) -> Refusal:
    """Return the refusal for a need that nothing meets: who needs what, which files were passed over, and where it was looked for."""
    where = need_place(survey, resolution)
    who = f"{where.member} ({where.arch}), {where.field or 'need'} {resolution.needed.name}"
    faults = {file.path: f"cannot be read: {file.field}: {file.expected}" for file in survey.unreadable}
    passed = [tried for tried in resolution.tried if tried.outcome.startswith(_UNFIT)]
    if passed:
        told = (f"{short_path(tried.place, survey.container)} ({faults.get(tried.place, tried.outcome)})" for tried in passed)
        message = f"{who}: only what cannot be used was found: {', '.join(dict.fromkeys(told))}"
    else:
        message = f"{who}: nowhere to be found; {_looked(survey, resolution.tried)}"
    leaf = resolution.needed.name.replace("\\", "/").rpartition("/")[2]
    return Refusal(message, f"name the folder that holds it with --search DIR, leave it out with --exclude {leaf}, or use --allow-missing")


def _looked(survey: Survey, tried: Sequence[Tried]) -> str:
    """Return where it was looked for, in order, each folder once."""
    facts = survey.container
    places = list(dict.fromkeys(short_path(one.place, facts).rpartition("/")[0] or one.via for one in tried))
    if not places:
        return "there was nowhere to look"
    more = len(places) - _MOST_PLACES
    tail = f", and in {counted(more, 'more place')}" if more > 0 else ""
    return f"looked in {', '.join(places[:_MOST_PLACES])}{tail}"
