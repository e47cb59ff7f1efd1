"""What `show` and `tree` tell of a package, taken out of its Survey: one answer for each need, and the loads that are worth a look."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from relocator.errors import UsageError
from relocator.model import PYTHON_OWNER, Binary, ContainerFacts, How, Load, Resolution, Role, Survey, Unreadable
from relocator.paint import short_path
from relocator.tags import Computed, computed_tags
from relocator.target import Target


@dataclass(frozen=True, slots=True)
class Profile:
    """What one package holds and needs, for one target."""

    container: ContainerFacts
    target: Target
    computed: Computed
    binaries: tuple[Binary, ...]
    """The container's own."""
    needs: tuple[Resolution, ...]
    """One for each need of each image, in the binaries' order; the best answer that any load gives."""
    unreadable: tuple[Unreadable, ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    """Outside files that were used: path and sha256."""


@dataclass(frozen=True, slots=True)
class Forest:
    """The loads of one package for one target that were asked for."""

    container: ContainerFacts
    target: Target
    loads: tuple[Load, ...]
    inputs: tuple[tuple[str, str], ...] = ()


_BEST_FIRST = (How.BUNDLED, How.PROVIDED, How.EXPECTED, How.OUTSIDE, How.PROMISED, How.UNDECIDED, How.MISSING)


def profile(survey: Survey) -> Profile:
    """Return the package's profile. Decodes the symbol tables of files that keep the package from a better tag."""
    return Profile(
        survey.container,
        survey.target,
        computed_tags(survey) if survey.container.kind != "environment" else Computed(()),
        tuple(binary for binary in survey.binaries if binary.owner not in ("", PYTHON_OWNER)),
        _best_answers(survey.loads),
        survey.unreadable,
        survey.others,
        survey.inputs,
    )


def _best_answers(loads: Iterable[Load]) -> tuple[Resolution, ...]:
    best: dict[tuple[str, str, int], Resolution] = {}
    for load in loads:
        for resolution in load.resolutions:
            key = resolution.importer, resolution.arch, resolution.position
            known = best.get(key)
            if known is None or _BEST_FIRST.index(resolution.how) < _BEST_FIRST.index(known.how):
                best[key] = resolution
    return tuple(best[key] for key in sorted(best))


def forests(surveys: Sequence[Survey], member: str = "") -> tuple[Forest, ...]:
    """Return, for each survey, the loads of everything that nothing else of the package brings, or of the members asked for.

    `member` is a member's name, the end of one ("_core.so", "demo/_core.so"), or a pattern with *, ? and []. Raises UsageError, with the
    nearest names, when it fits none.
    """
    if not member:
        return tuple(_forest(survey, tuple(load for load in survey.loads if _is_root(load, survey))) for survey in surveys)
    chosen = tuple(_forest(survey, _matching(survey, member)) for survey in surveys)
    if not any(forest.loads for forest in chosen):
        raise _unknown(surveys, member)
    return tuple(forest for forest in chosen if forest.loads)


def _forest(survey: Survey, loads: tuple[Load, ...]) -> Forest:
    return Forest(survey.container, survey.target, loads, survey.inputs)


def _is_root(load: Load, survey: Survey) -> bool:
    binary = survey.binary_at(load.root)
    if binary is not None and binary.owner == PYTHON_OWNER:
        return False
    if binary is not None and (binary.extension or binary.role == Role.PROGRAM):
        return True
    return not any(load.root in other.order[1:] for other in survey.loads)


def _matching(survey: Survey, member: str) -> tuple[Load, ...]:
    exact = tuple(load for load in survey.loads if _name(load, survey) == member)
    return exact or tuple(load for load in survey.loads if _matches(_name(load, survey), member))


def _name(load: Load, survey: Survey) -> str:
    binary = survey.binary_at(load.root)
    return binary.member if binary else short_path(load.root, survey.container)


def _matches(name: str, wanted: str) -> bool:
    return f"/{name}".endswith(f"/{wanted.removeprefix('./')}") or fnmatchcase(name, wanted) or fnmatchcase(name.rpartition("/")[2], wanted)


def _unknown(surveys: Sequence[Survey], member: str) -> UsageError:
    names = sorted({binary.member for survey in surveys for binary in survey.binaries if binary.owner})
    if any(_matches(name, member) for name in names):
        targets = ", ".join(survey.target.tag for survey in surveys if survey.target.tag)
        return UsageError(f"nothing loads {member!r} on {targets or 'this target'}", "`--target TAG` chooses another platform")
    by_base = {name.rpartition("/")[2]: name for name in names}
    near = dict.fromkeys([*get_close_matches(member, names, 3), *(by_base[n] for n in get_close_matches(member, by_base, 3))])
    hint = f"did you mean {', '.join(map(repr, list(near)[:3]))}?" if near else "`relocate show -v` lists the binaries"
    return UsageError(f"no binary is called {member!r}", hint)
