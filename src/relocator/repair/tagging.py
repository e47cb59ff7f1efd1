"""Which tags a wheel is to bear: what its binaries keep to, what was asked for, and what WHEEL and the file name say then.

An installer takes a wheel when one of its tags fits, so every tag that is true may stay, and one that is not must go. Python and ABI tags
are never judged here.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from relocator.backends import backend_for, format_of_system
from relocator.containers.wheel import WheelName, parse_wheel_name
from relocator.libc import evidence_of_libc
from relocator.model import Binary, ContainerFacts, Role, Survey
from relocator.platform_tags import Platform, columns, parse, with_arches
from relocator.processes import own_platform
from relocator.repair.blockers import told_of
from relocator.repairs import Action, Refusal, RepairOptions, Retag, RewriteText
from relocator.roles import FORMAT_OF
from relocator.tags import Waived, best_tags, broken_promises, computed_tags, macos_version, needed_macos, targets_of
from relocator.target import Promises, Target
from relocator.wheel_file import file_name, rewritten


class Tagged(NamedTuple):
    """What becomes of the tags of one wheel."""

    actions: tuple[Action, ...] = ()
    output: str = ""
    """File name of the finished wheel."""
    remarks: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class Chosen(NamedTuple):
    """The platform tags that a wheel is to bear."""

    platforms: tuple[str, ...]
    because: str = ""
    remarks: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def retag(survey: Survey, projected: Survey, texts: Mapping[str, bytes], options: RepairOptions, left: Iterable[str] = ()) -> Tagged:
    """Return how the wheel's tags are to change, nothing when they are right.

    `survey` is of the wheel as it is, `projected` of the finished one. `left` are the names of libraries that stay outside because the
    user said so: neither they nor what is asked of them count against a tag, unless it promises them.
    """
    facts = survey.container
    name = parse_wheel_name(facts.file_name)
    wheel = texts.get(f"{facts.dist_info}/WHEEL")
    if name is None or wheel is None:
        return Tagged((), facts.file_name, refusals=(nameless(facts) if name is None else without_wheel(facts),))
    waived = Waived(frozenset(left), not options.check_isa)
    now = columns(name.tags).platforms
    chosen = choose(projected, now, options, waived)
    if not options.update_tags:
        asked = any(plat != "auto" for plat in options.plat)  # then what stays outside was decided by that tag
        return Tagged((), facts.file_name, tuple(_untrue(projected, now, waived)), chosen.refusals if asked else ())
    if chosen.refusals:
        return Tagged((), facts.file_name, chosen.remarks, chosen.refusals)
    tags = columns(name.tags)._replace(platforms=chosen.platforms).expanded()
    written = write_tags(facts, wheel, name._replace(tags=tags), purelib=purelib_for(projected, chosen.platforms), because=chosen.because)
    return written._replace(remarks=chosen.remarks)


def write_tags(facts: ContainerFacts, wheel: bytes, name: WheelName, *, purelib: bool | None = None, because: str) -> Tagged:
    """Return the actions that give a wheel this name, and WHEEL what belongs to it: nothing when both say so already.

    `wheel` is WHEEL as it is. What stands in a file name alone, the order of its tags, is no reason to write anything anew.
    """
    before, after = columns(facts.tags), columns(name.tags)
    actions: list[Action] = []
    data = rewritten(wheel, after.expanded(), build=_build(wheel, facts, name), purelib=purelib)
    if set(before.platforms) != set(after.platforms):
        actions.append(Retag(before.platforms, tuple(sorted(after.platforms)), because))
    if data != wheel:
        actions.append(RewriteText(f"{facts.dist_info}/WHEEL", data, "agrees with the file name and says each thing once"))
    return Tagged(tuple(actions), file_name(name))


def _build(wheel: bytes, facts: ContainerFacts, name: WheelName) -> str | None:
    """Return what Build has to say; None to leave it alone, which a WHEEL without the line may be."""
    before = parse_wheel_name(facts.file_name)
    written = any(line.lower().startswith(b"build:") for line in wheel.splitlines())
    return name.build if written or before is None or before.build != name.build else None


def nameless(facts: ContainerFacts) -> Refusal:
    """Return the refusal of an archive whose file name says nothing."""
    stem = facts.dist_info.removesuffix(".dist-info") or "NAME-VERSION"
    tags = columns(facts.declared_tags or ())
    wanted = f"{stem}-{tags.compressed() if all(tags) else 'PYTHON-ABI-PLATFORM'}.whl"
    return Refusal("its file name is none of a wheel, so that nobody knows which tags it has", f"rename it to {wanted}")


def without_wheel(facts: ContainerFacts) -> Refusal:
    """Return the refusal of a wheel that does not say that it is one."""
    return Refusal(f"{facts.dist_info or '.dist-info'}/WHEEL is missing or cannot be read", "build the wheel again")


def purelib_for(survey: Survey, platforms: Sequence[str]) -> bool | None:
    """Return what Root-Is-Purelib must say where it says something false: files that a module loads belong where binaries do."""
    loaded = any(binary.owner and binary.role == Role.IMPORTED for binary in survey.binaries)
    return False if survey.container.purelib and loaded and "any" not in platforms else None


# ---- choosing


def choose(survey: Survey, now: Sequence[str], options: RepairOptions, waived: Waived) -> Chosen:
    """Return the platform tags for the content of a finished wheel that bears the tags `now`."""
    survey = by_content(survey)
    target = survey.target
    if not target.decided:
        return Chosen(tuple(now)) if not options.plat else _refused(f"{', '.join(options.plat)}: no binary tells what the wheel is for")
    own = [platform for platform in map(parse, now) if _is_of(platform, target)]
    others = [tag for tag in now if tag != "any" and not _is_of(parse(tag), target) and not parse(tag).fault]
    arches = tuple(dict.fromkeys(arch for platform in own for arch in platform.arches)) or target.arches
    survey = _limited(survey, arches)
    requested, refusals = _requested(survey, options, waived)
    if refusals:
        return Chosen(tuple(now), refusals=refusals)
    best, refusals, remarks = _best(survey, own, bool(requested), waived)
    if refusals and not requested:
        return Chosen(tuple(now), refusals=refusals)
    kept = tuple(platform.tag for platform in own if _stays(survey, platform, waived))
    wanted = requested if requested and options.only_plat else (*requested, *_beside(best, kept, target))
    platforms = tuple(sorted({*wanted, *others}))
    gone = (tag for tag in now if tag not in platforms)
    remarks = (*remarks, *(f"{tag} went: {told}" for tag in gone for told in _reasons(survey, tag, waived)[:1]))
    return Chosen(platforms, _because(survey, requested, waived), remarks)


def by_content(survey: Survey) -> Survey:
    """Return the survey as judged by the platform of its binaries, where its tags decide none (`any`, a platform that cannot be).

    Unchanged where the binaries do not tell either: a module or a library that one loads must be there, and all of one kind.
    """
    own = [binary for binary in survey.binaries if binary.owner and binary.role != Role.PROGRAM]
    loaded = [binary for binary in own if binary.role == Role.IMPORTED]
    known = survey.target.os == "any" or parse(survey.target.tag).fault or not survey.target.tag
    if survey.target.decided or not known or not loaded or len({binary.format for binary in own}) > 1:
        return survey
    arches = _arches_of(loaded)
    telling = (binary.images[0] for binary in loaded if evidence_of_libc(binary.images[0]).libc)
    image = next(telling, loaded[0].images[0])
    target = dataclasses.replace(own_platform(image), floors=tuple((arch, ()) for arch in arches))
    return dataclasses.replace(survey, target=target, promises=promises_of(target)) if arches else survey


def _arches_of(binaries: Sequence[Binary]) -> tuple[str, ...]:
    """Return the architectures that every file is made for; none when there is no such one."""
    shared = [image.arch for image in binaries[0].images]
    return tuple(arch for arch in shared if all(binary.image(arch) for binary in binaries))


def promises_of(target: Target) -> tuple[Promises, ...]:
    """Return what a target promises, for each of its architectures."""
    wanted = format_of_system(target.os)
    found = [backend_for(wanted).promises(target, arch) for arch in target.arches] if wanted else []
    return tuple(promises for promises in found if promises is not None)


def _is_of(platform: Platform, target: Target) -> bool:
    """Tell whether a tag is about the target's system; a local linux tag leaves the libc to the binaries."""
    return platform.os == target.os and (platform.libc == target.libc or platform.local)


def _beside(best: Sequence[str], kept: Sequence[str], target: Target) -> tuple[str, ...]:
    """Return the best tags with those that may stay; of macOS either, since the ones that stay say the same."""
    covered = {arch for tag in kept for arch in parse(tag).arches}
    if target.os == "macos" and covered.issuperset(target.arches):
        return tuple(kept)
    return (*best, *kept)


def _stays(survey: Survey, platform: Platform, waived: Waived) -> bool:
    """Tell whether a tag that the wheel bears is true, and worth to be kept."""
    present = _present(survey)
    if platform.local or platform.fault or (present and present.isdisjoint(platform.arches)):
        return False
    if survey.target.os == "macos":
        needed = {arch: needed_macos(survey, arch) for arch in platform.arches}
        floors = dict(_target_of(platform.tag).floors)
        return all(version is None or version == macos_version(floors[arch]) for arch, version in needed.items())
    return survey.target.os not in ("linux", "android") or not broken_promises(_judged_by(survey, platform.tag), waived)


def _target_of(tag: str) -> Target:
    return targets_of(ContainerFacts("file", ""), tag)[0]


def _judged_by(survey: Survey, tag: str) -> Survey:
    """Return the survey with another tag's promises in the place of its own."""
    target = _target_of(tag)
    target = dataclasses.replace(target, libc=target.libc or survey.target.libc)
    return dataclasses.replace(survey, target=target, promises=promises_of(target))


# ---- what is asked for


def _requested(survey: Survey, options: RepairOptions, waived: Waived) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    """Return the tags asked for, with their other names, or why they cannot be."""
    tags: dict[str, None] = {}
    refusals: list[Refusal] = []
    for asked in options.plat:
        for tag in with_arches(asked, survey.target.os, survey.target.arches) if asked != "auto" else ():
            refusals += _against(survey, parse(tag), waived)
            tags.update(dict.fromkeys(all_names(tag)))
    return tuple(tags), tuple(dict.fromkeys(refusals))


def _against(survey: Survey, platform: Platform, waived: Waived) -> Iterator[Refusal]:
    """Yield why the finished wheel cannot bear a tag."""
    target = survey.target
    if not _is_of(platform, target):
        own = " ".join(filter(None, (target.os, target.libc)))
        yield Refusal(f"{platform.tag} is asked for, and the binaries are for {own}", "ask for a tag of that system, or leave --plat out")
        return
    present = _present(survey)
    for arch in platform.arches:
        if present and arch not in present:
            told = f"{platform.tag} is asked for, and no binary is made for {arch}: there are {', '.join(sorted(present))}"
            yield Refusal(told, f"build it for {arch} too, or ask for a tag of what there is")
            return
    if platform.fault:
        yield Refusal(f"{platform.tag} is asked for: {platform.fault}", "ask for a tag that installers look for")
        return
    if not platform.local:
        judged = _judged_by(survey, platform.tag)
        hint = _would_do(judged, survey, waived)
        yield from (Refusal(f"{platform.tag} is out of reach: {told}", hint) for told in told_of(broken_promises(judged, waived)))


def _would_do(judged: Survey, survey: Survey, waived: Waived) -> str:
    """Say what to do about a tag that the binaries do not keep to."""
    limited = _limited(survey, judged.target.arches)
    best = [tag for tag in best_tags(limited, waived) if not parse(tag).local]
    build = "set MACOSX_DEPLOYMENT_TARGET for the whole build" if judged.target.os == "macos" else "build it in an image of that age"
    return f"--plat {best[0]} would do; or {build}" if best else _elsewhere(limited, waived)


def _limited(survey: Survey, arches: Iterable[str]) -> Survey:
    """Return the survey with a target of these architectures alone."""
    target = survey.target
    return dataclasses.replace(survey, target=dataclasses.replace(target, floors=tuple((arch, target.floor(arch)) for arch in arches)))


def _elsewhere(survey: Survey, waived: Waived) -> str:
    if best_tags(survey, waived._replace(isa=True)) != best_tags(survey, waived):
        return "build with -march=x86-64, or do not let that count with --disable-isa-ext-check"
    blockers = [blocker for blocker in computed_tags(survey, waived).blockers if not blocker.version]
    if lacking := sorted({blocker.library for blocker in blockers if not blocker.symbol}):
        return f"`relocate repair` brings {' and '.join(lacking)} in"
    if forbidden := sorted({blocker.library for blocker in blockers}):
        return f"let {' and '.join(forbidden)} be brought in: `--search DIR` names the folder"
    return "build it in an image that is older, such as manylinux_2_28"


def all_names(tag: str) -> tuple[str, ...]:
    """Return a tag with the other names of the same level, such as manylinux2014 and manylinux_2_17."""
    platform = parse(tag)
    levels = [level for promises in promises_of(_target_of(tag)) for level in promises.levels if platform.os == "linux"]
    same = next((level.names for level in levels if level.version == platform.version and level.names and not platform.local), ())
    return tuple(dict.fromkeys((tag, *(f"{name}_{platform.arches[0]}" for name in same))))


# ---- what the binaries keep to


def _best(
    survey: Survey, own: Sequence[Platform], requested: bool, waived: Waived
) -> tuple[tuple[str, ...], tuple[Refusal, ...], tuple[str, ...]]:
    """Return the best tags for the architectures that the wheel's tags claim, why there are none, and what is to be said."""
    target, present = survey.target, _present(survey)
    if target.os not in ("linux", "macos", "android", "windows") or (not present and own):
        return tuple(platform.tag for platform in own if not platform.fault), (), ()
    absent = [arch for arch in target.arches if arch not in present]
    if absent and (target.os == "macos" or len(absent) == len(target.arches)) and not _stands_in(survey, absent):
        return (), (_missing_arch(survey, absent, present),), ()
    if target.os == "windows":
        return tuple(platform.tag for platform in own) or best_tags(survey), (), ()
    if target.os != "linux":
        return best_tags(survey, waived), (), ()
    return _best_linux(survey, own, absent, requested, waived)


def _best_linux(
    survey: Survey, own: Sequence[Platform], absent: Sequence[str], requested: bool, waived: Waived
) -> tuple[tuple[str, ...], tuple[Refusal, ...], tuple[str, ...]]:
    found: list[str] = []
    refusals: list[Refusal] = []
    remarks: list[str] = []
    for arch, floor in survey.target.floors:
        mine = [platform for platform in own if arch in platform.arches]
        if arch in absent:
            found += (platform.tag for platform in mine)
            continue
        alone = _limited(survey, [arch])
        best = best_tags(alone, waived)
        if not parse(best[0]).local:
            found += best
            if survey.target.libc == "musl" and not floor and not requested:
                remarks.append(f"{best[0]} was taken, since binaries do not show for which musl they are; --plat takes another")
        elif not computed_tags(alone, waived).blockers:
            found += best
            remarks.append(f"{best[0]} stays: no portable tag is known for {arch}")
        elif not requested and not any(_stays(alone, platform, waived) for platform in mine):
            hint = _elsewhere(alone, waived)
            told = told_of(computed_tags(alone, waived).blockers)
            refusals += (Refusal(f"no portable tag is within reach for {arch}: {reason}", hint) for reason in told)
    return tuple(found), tuple(refusals), tuple(remarks)


def _present(survey: Survey) -> frozenset[str]:
    """Return the architectures that the target's loader would find binaries for."""
    wanted = FORMAT_OF.get(survey.target.os)
    return frozenset(image.arch for _, image in survey.images() if image.format == wanted)


def _stands_in(survey: Survey, absent: Sequence[str]) -> bool:
    """Tell whether missing architectures are no fault: nothing is loaded by a module, or a name for what ELF headers call otherwise."""
    loaded = any(binary.owner and binary.role == Role.IMPORTED for binary in survey.binaries)
    return not loaded or all(arch.startswith("arm") and arch != "arm64" for arch in absent)


def _missing_arch(survey: Survey, absent: Sequence[str], present: Iterable[str]) -> Refusal:
    files = [binary.member for binary in survey.binaries if binary.owner and binary.role == Role.IMPORTED]
    made_for = " and ".join(sorted(present)) or "another system"
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    told = f"its tag promises {' and '.join(absent)}, and no binary is made for that: {files[0]}{more} is for {made_for}"
    return Refusal(told, f"build it for {' and '.join(absent)}, or name the tag that is right with `relocate retag --plat`")


def _because(survey: Survey, requested: Sequence[str], waived: Waived) -> str:
    if requested:
        return f"asked for with --plat {' and '.join(requested[:1])}"
    reasons = told_of(computed_tags(survey, waived).blockers)
    return "it is what the binaries keep to" + (f"; for an older system {reasons[0]}" if reasons else "")


def _reasons(survey: Survey, tag: str, waived: Waived) -> list[str]:
    """Return why a tag is not true."""
    platform = parse(tag)
    if platform.fault:
        return [platform.fault]
    if platform.local or not _is_of(platform, survey.target):
        return []
    return told_of(broken_promises(_judged_by(survey, tag), waived))


def _untrue(survey: Survey, now: Sequence[str], waived: Waived) -> Iterator[str]:
    """Yield what to say of tags that stay although the binaries do not keep to them."""
    survey = by_content(survey)
    for tag in now:
        for told in _reasons(survey, tag, waived)[:1]:
            yield f"{tag} stays because of --no-update-tags, although {told}"


def _refused(message: str) -> Chosen:
    return Chosen((), refusals=(Refusal(message, "leave --plat out"),))
