"""undeclared-provider: a library that only chance brings."""

import dataclasses

import pytest

from conflict_examples import owned, part, shared
from linked import installed
from relocator.findings import Certainty, Severity
from relocator.model import FOLDER_OWNER, Survey
from relocator.rules.undeclared_provider import check


def taking(library: str = "libfoo.so.1", **facts: object) -> Survey:
    files = [part("demo", library, rpath="$ORIGIN/../other"), part("other", library), shared("other", library), part("third")]
    return installed(*files, **facts)  # type: ignore[arg-type]


def test_flags_what_requires_dist_does_not_name() -> None:
    (finding,) = check(taking())
    assert (finding.severity, finding.certainty) == (Severity.WARNING, Certainty.CERTAIN)
    assert (finding.primary.member, finding.primary.value) == ("demo/_core.so", "libfoo.so.1")
    assert "demo takes it from other" in finding.primary.label


@pytest.mark.parametrize(
    "requires",
    [
        {"demo": ("other",)},
        {"demo": ("Other>=2; python_version > '3'",)},
        {"demo": ("third",), "third": ("other[x]",)},
        {"demo": ("other; extra == 'fast'",)},
    ],
)
def test_declared_directly_or_by_what_is_required(requires: dict[str, tuple[str, ...]]) -> None:
    assert list(check(taking(requires=requires))) == []


@pytest.mark.parametrize(
    "requires", [{"other": ("demo",)}, {"demo": ("otherwise",)}, {"demo": ("not a requirement !",)}, {"demo": ("demo",)}]
)
def test_not_declared(requires: dict[str, tuple[str, ...]]) -> None:
    assert len(list(check(taking(requires=requires)))) == 1


def test_what_the_platform_promises_needs_no_provider() -> None:
    assert list(check(taking("libz.so.1"))) == []


@pytest.mark.parametrize(("sources", "expected"), [({"demo": "conda", "other": "conda"}, 0), ({"demo": "pip", "other": "conda"}, 1)])
def test_conda_keeps_books_of_its_own(sources: dict[str, str], expected: int) -> None:
    assert len(list(check(taking(sources=sources)))) == expected


def test_files_of_no_distribution_are_nobodys_debt() -> None:
    assert (
        list(check(installed(part("demo", "libfoo.so", rpath="$ORIGIN/../other"), owned(FOLDER_OWNER, shared("other", "libfoo.so"))))) == []
    )


def test_the_importer_counts_and_not_the_root() -> None:
    """A module of demo brings a library of other, which brings one that other has from a third one, and declares."""
    files = [
        part("demo", "libfoo.so", rpath="$ORIGIN/../other"),
        shared("other", "libfoo.so", "libbar.so", rpath="$ORIGIN/../third"),
        shared("third", "libbar.so"),
    ]
    assert list(check(installed(*files, requires={"demo": ("other",), "other": ("third",)}))) == []
    (finding,) = check(installed(*files, requires={"demo": ("other", "third")}))
    assert finding.primary.member == "other/libfoo.so"


def test_two_installed_of_one_name_are_taken_together() -> None:
    survey = taking(requires={"demo": ("other",)})
    both = (*survey.container.distributions, dataclasses.replace(survey.container.distributions[0], requires=()))
    assert list(check(dataclasses.replace(survey, container=dataclasses.replace(survey.container, distributions=both)))) == []
