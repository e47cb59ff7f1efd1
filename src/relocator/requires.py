"""What a distribution asks for, and what that asks for in turn."""

from collections.abc import Iterator

from relocator.metadata import distribution_of, normalised
from relocator.model import FOLDER_OWNER, PYTHON_OWNER, Distribution, Survey


def named(survey: Survey, name: str) -> Iterator[Distribution]:
    """Yield the distributions of an owner's name: two when conda and pip have each installed it."""
    return (distribution for distribution in survey.container.distributions if distribution.name == name)


def requires(survey: Survey, user: str, provider: str) -> bool:
    """Tell whether the distribution `user` names `provider` in Requires-Dist, or something present that does, however far.

    Extras and markers are not judged: a requirement that might count counts. True where there is nothing to judge by: files without a
    distribution, and one distribution itself. Everything requires the interpreter.
    """
    if user == provider or FOLDER_OWNER in (user, provider) or not user or provider in ("", PYTHON_OWNER):
        return True
    if "requires" not in survey.memo:
        survey.memo["requires"] = _graph(survey)
    graph: dict[str, frozenset[str]] = survey.memo["requires"]
    return normalised(provider) in _reached(graph, normalised(user))


def _graph(survey: Survey) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for distribution in survey.container.distributions:
        key = normalised(distribution.name)
        found[key] = found.get(key, frozenset()) | {name for text in distribution.requires if (name := distribution_of(text))}
    return found


def _reached(graph: dict[str, frozenset[str]], start: str) -> set[str]:
    seen, left = {start}, [start]
    while left:
        new = graph.get(left.pop(), frozenset()) - seen
        seen |= new
        left += new
    return seen


def provides(survey: Survey, user: str, provider: str) -> bool:
    """Tell whether `provider` is the distribution `user` itself or one that it requires; files of nobody belong to one another alone."""
    return user == provider or (FOLDER_OWNER not in (user, provider) and requires(survey, user, provider))
