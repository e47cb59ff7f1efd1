"""unreachable-dll: in the package, and not where Python searches."""

import pytest

from builders import SITE, WINDOWS, binary, elf, pe
from linked import installed, linked
from relocator.audit import run_rules
from relocator.backends.windows.promises import promises
from relocator.findings import Certainty, Severity
from relocator.model import Binary, Hint, Needed, NeedKind, Survey
from relocator.rules import missing_library, unbundled_msvc_runtime
from relocator.rules.unreachable_dll import RULE, check
from relocator.target import Target

ALL = [RULE, missing_library.RULE, unbundled_msvc_runtime.RULE]
FAR = binary("demo/bin/foo.dll", pe("KERNEL32.dll"))


def package(*needed: str | Needed, others: tuple[Binary, ...] = (FAR,), target: Target = WINDOWS, hints: tuple[Hint, ...] = ()) -> Survey:
    core = binary("demo/_core.pyd", pe("KERNEL32.dll", *needed), extension="demo._core")
    return linked(core, *others, target=target, promises=promises(target, "amd64"), hints=hints)


def test_flags_and_says_it_alone() -> None:
    found = package("FOO.dll")
    (finding,) = check(found)
    assert (finding.severity, finding.certainty) == (Severity.ERROR, Certainty.CERTAIN)
    assert (finding.primary.field, finding.primary.position, finding.primary.value) == ("import", 1, "FOO.dll")
    assert [(where.member, where.label) for where in finding.related] == [("demo/bin/foo.dll", "has that name")]
    assert finding.trail
    assert [finding.rule for finding in run_rules(found, ALL).findings] == ["unreachable-dll"]


GOOD = {
    "beside the module": package("foo.dll", others=(binary("demo/foo.dll", pe("KERNEL32.dll")),)),
    "nowhere": package("foo.dll", others=()),
    "another architecture": package("foo.dll", others=(binary("demo/bin/foo.dll", pe("KERNEL32.dll", arch="win32", machine=0x14C)),)),
    "another name": package("foo.dll", others=(binary("demo/bin/foo-1a2b.dll", pe("KERNEL32.dll")),)),
    "promised": package("KERNEL32.dll", others=(binary("demo/bin/kernel32.dll", pe()),)),
    "without a target": package("foo.dll", target=Target("", "")),
    "ELF": linked(binary("demo/_core.so", elf("foo.dll")), FAR),
}


@pytest.mark.parametrize("case", sorted(set(GOOD) - {"without a target"}))
def test_is_silent_about(case: str) -> None:
    assert list(check(GOOD[case])) == []


def test_does_not_run_without_a_target() -> None:
    assert run_rules(GOOD["without a target"], ALL).findings == ()


def test_the_runtime_in_an_unreachable_folder_is_not_missing() -> None:
    found = package("MSVCP140.dll", others=(binary("demo.libs/msvcp140.dll", pe("KERNEL32.dll")),))
    assert [finding.rule for finding in run_rules(found, ALL).findings] == ["unreachable-dll"]


def hint(call: str, argument: str | None) -> Hint:
    return Hint("demo/__init__.py", 3, call, argument)


@pytest.mark.parametrize(
    ("hint_", "certainty"),
    [
        (hint("add_dll_directory", None), Certainty.POSSIBLE),
        (hint("cdll", None), Certainty.POSSIBLE),
        (hint("cdll", f"{SITE}/demo/bin/foo.dll"), Certainty.POSSIBLE),
        (hint("cdll", "Foo"), Certainty.POSSIBLE),
        (hint("cdll", "C:\\demo\\foo.dll"), Certainty.POSSIBLE),
        (hint("cdll", f"{SITE}/demo/bin/user.dll"), Certainty.POSSIBLE),
        (hint("cdll", "kernel32"), Certainty.CERTAIN),
        (hint("add_dll_directory", f"{SITE}/demo/other"), Certainty.CERTAIN),
        (hint("rtld_global", None), Certainty.CERTAIN),
    ],
)
def test_what_python_code_may_do_makes_it_less_sure(hint_: Hint, certainty: Certainty) -> None:
    user = binary("demo/bin/user.dll", pe("foo.dll"))
    found = package("foo.dll", others=(FAR, user), hints=(hint_,))
    (finding,) = check(found)
    assert (finding.severity, finding.certainty) == (Severity.ERROR, certainty)


def test_a_delayed_need_is_a_warning() -> None:
    (finding,) = check(package(Needed("foo.dll", NeedKind.DELAYED)))
    assert (finding.severity, finding.primary.field) == (Severity.WARNING, "delay import")


@pytest.mark.parametrize(("requires", "expected"), [({}, 0), ({"demo": ("other",)}, 1)])
def test_in_an_environment_only_dlls_of_what_is_required_are_the_packages(requires: dict[str, tuple[str, ...]], expected: int) -> None:
    core = binary("demo/_core.pyd", pe("foo.dll"), extension="demo._core")
    elsewhere = binary("other/bin/foo.dll", pe(), owner="other")
    survey = installed(core, elsewhere, target=WINDOWS, promises=promises(WINDOWS, "amd64"), requires=requires)
    found = list(check(survey))
    assert len(found) == expected
    assert all("that another package has" in finding.message and "import other first" in finding.help for finding in found)
